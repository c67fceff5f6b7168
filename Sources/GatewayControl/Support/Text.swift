extension String {
    /// Without the white space at the end; empty if there is nothing else.
    package func trimmingEnd() -> String {
        guard let last = lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(self[...last])
    }
}

extension String {
    /// Without control characters, so that text from elsewhere cannot drive a terminal.
    /// - Parameter lineBreak: what stands for a line break; further lines should be indented, or they could pass for
    ///   lines of our own.
    package func printable(lineBreak: String) -> String {
        guard unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return self }
        var text = ""
        for scalar in unicodeScalars {
            if scalar == "\n" {
                text += lineBreak
            } else if scalar.properties.generalCategory == .control {
                text += "\u{FFFD}"
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}

extension Duration {
    /// `1.5 s`, `5 min`: for people.
    package var brief: String {
        let seconds = self / .seconds(1)
        if seconds >= 120 { return "\(Int((seconds / 60).rounded())) min" }
        if seconds >= 10 { return "\(Int(seconds.rounded())) s" }
        return "\((seconds * 10).rounded() / 10) s"
    }
}
