import Glibc

/// Whether the products under test are built with the thread sanitizer.
enum Sanitizer {
    /// Then a host in plain C cannot load the module, and memory says something about the sanitizer's shadow only.
    static var isThread: Bool { dlsym(nil, "__tsan_init") != nil }
}
