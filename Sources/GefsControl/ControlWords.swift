/// Words of a line as rc splits them: at spaces and tabs, with single quotes around what holds some.
/// Inside quotes two of them stand for one. Source: SEMANTICS 9.
public enum ControlWords {
    public static func split(_ line: String) -> [String] {
        var words: [String] = []
        var word: String?
        var isQuoted = false
        var rest = line[...]
        while let character = rest.popFirst() {
            switch character {
            case "'" where isQuoted && rest.first == "'":
                rest.removeFirst()
                word = (word ?? "") + "'"
            case "'":
                isQuoted.toggle()
                word = word ?? ""
            case " " where !isQuoted, "\t" where !isQuoted:
                if let finished = word { words.append(finished) }
                word = nil
            default:
                word = (word ?? "") + String(character)
            }
        }
        if let word { words.append(word) }
        return words
    }
}
