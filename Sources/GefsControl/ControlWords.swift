/// Words of a line as rc splits them: at spaces and tabs, with single quotes around what holds some.
/// Inside quotes two of them stand for one. Source: SEMANTICS 9.
public enum ControlWords {
    ///
    /// Quotes and spaces are looked for among scalars: an accent behind one does not make it another
    /// character.
    public static func split(_ line: String) -> [String] {
        var words: [String] = []
        var word: String.UnicodeScalarView?
        var isQuoted = false
        var rest = line.unicodeScalars[...]
        func append(_ scalar: Unicode.Scalar?) {
            if word == nil { word = String.UnicodeScalarView() }
            if let scalar { word?.append(scalar) }
        }
        while let scalar = rest.popFirst() {
            switch scalar {
            case "'" where isQuoted && rest.first == "'":
                rest.removeFirst()
                append(scalar)
            case "'":
                isQuoted.toggle()
                append(nil)
            case " " where !isQuoted, "\t" where !isQuoted:
                if let finished = word { words.append(String(finished)) }
                word = nil
            default:
                append(scalar)
            }
        }
        if let word { words.append(String(word)) }
        return words
    }
}
