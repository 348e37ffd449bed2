import GefsEngine

/// Opens an image, writes a note into its main tree, makes it durable, and reads it back.
///
/// The image is an ordinary file made by `gefs ream` or `Ream.run`.
public func keepNote(_ text: String, image path: String) throws -> String {
    let device = try FileDevice(path: path, access: .readWrite)
    let fileSystem = try FileSystem.open(device)
    // User 1 is the one that the file system was made for.
    let caller = Caller(user: UserID(rawValue: 1), isPermissive: true)

    try fileSystem.write(Array(text.utf8), to: "note.txt", as: caller)
    try fileSystem.sync(as: caller)  // durable from here on

    let note = try fileSystem.contents(of: "note.txt", as: caller)
    let root = try fileSystem.walk("", as: caller)
    try fileSystem.open(root, OpenMode(.read), as: caller)
    var names: [String] = []
    _ = try fileSystem.readDirectory(root, at: 0, as: caller) { item in
        names.append(String(decoding: item.name, as: UTF8.self))
        return 1  // what a listing costs of the caller's room; here it has no limit
    }
    fileSystem.close(root)
    try fileSystem.close()
    return "\(names.joined(separator: " ")): \(String(decoding: note, as: UTF8.self))"
}
