import Foundation

/// Colours, where they are wanted.
public struct Palette: Sendable, Equatable {
    /// Whether there are any.
    public let isOn: Bool

    /// No colours.
    public static let plain = Palette(isOn: false)

    init(isOn: Bool) { self.isOn = isOn }

    /// Colours on a terminal only, and not if `NO_COLOR` is set to anything (no-color.org) or the terminal is dumb.
    init(of descriptor: Int32, environment: [String: String] = ProcessInfo.processInfo.environment) {
        isOn = isatty(descriptor) == 1 && Self.wanted(environment)
    }

    static func wanted(_ environment: [String: String]) -> Bool {
        environment["NO_COLOR", default: ""].isEmpty && environment["TERM", default: "dumb"] != "dumb"
    }

    func good(_ text: String) -> String { paint(text, "32") }
    func warning(_ text: String) -> String { paint(text, "33") }
    func bad(_ text: String) -> String { paint(text, "1;31") }
    func strong(_ text: String) -> String { paint(text, "1") }
    func faint(_ text: String) -> String { paint(text, "2") }

    private func paint(_ text: String, _ code: String) -> String { isOn ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }
}
