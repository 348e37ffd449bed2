#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What a command has to say, as data: printed as JSON, or as a table by the tool.
///
/// Keys are full words, sizes are bytes, times ISO 8601; fields are only ever added.
public protocol Report: Codable, Sendable {
    /// The value of the key `type`, which every object that is printed has.
    static var type: String { get }
}

private enum ReportKey: String, CodingKey {
    case type
}

/// A report with its type beside its fields.
struct TypedReport<R: Report>: Encodable {
    var report: R

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: ReportKey.self)
        try container.encode(R.type, forKey: .type)
        try report.encode(to: encoder)
    }
}

/// What is read of a line before its report is known.
struct ReportType: Decodable {
    var type: String
}

/// One JSON object a line, in UTF-8.
public enum ReportLine {
    /// The report as one line, without the line's end.
    public static func encode(_ report: some Report) throws -> [UInt8] {
        try encode(object: TypedReport(report: report))
    }

    /// An object that has its type in itself as one line, without the line's end.
    static func encode(object: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        return [UInt8](try encoder.encode(object))
    }

    /// The type that a line says it has.
    public static func type(of line: [UInt8]) throws -> String {
        try decode(ReportType.self, from: line)
    }

    /// The line as a report of one type.
    public static func decode<R: Decodable>(_ type: R.Type, from line: [UInt8]) throws -> R {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return try decoder.decode(type, from: Data(line))
    }
}

extension ReportLine {
    private static func decode(_ type: ReportType.Type, from line: [UInt8]) throws -> String {
        try JSONDecoder().decode(type, from: Data(line)).type
    }
}

extension CommandFailure: Report {
    public static var type: String { "error" }
}
