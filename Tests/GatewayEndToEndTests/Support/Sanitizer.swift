import Glibc

/// Whether the products under test are built with a sanitizer.
enum Sanitizer {
    /// Then a host in plain C or Python cannot load the module, and memory says something about the sanitizer's own only.
    static var isThere: Bool { dlsym(nil, "__tsan_init") != nil || dlsym(nil, "__asan_init") != nil }
}
