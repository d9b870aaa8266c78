//! Compiles the native engines, all with the same flags, and the counting allocator.

fn main() {
    let mut engines = cc::Build::new();
    engines
        .cpp(true)
        .files(["native/null.cpp", "native/textbook.cpp", "native/touchline.cpp"])
        .include("../../cpp/include")
        .include("native")
        .std("c++20")
        .opt_level(3)
        .debug(true)
        .flag("-fno-rtti")
        .flag("-Wno-missing-field-initializers")
        .warnings(true);
    engines.compile("compare_engines");
    cc::Build::new().file("native/count_malloc.c").opt_level(2).warnings(true).compile("compare_malloc");
    for path in ["native", "../../cpp/include", "build.rs"] {
        println!("cargo::rerun-if-changed={path}");
    }
}
