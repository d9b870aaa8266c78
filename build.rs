//! Compiles the C++ matching core and its bridge.

fn main() {
    let mut build = cxx_build::bridge("src/matching/bridge.rs");
    build
        .file("cpp/src/bridge.cpp")
        .include("cpp/include")
        .std("c++20")
        .flag_if_supported("-fno-exceptions")
        .flag_if_supported("-fno-rtti")
        .flag_if_supported("-Wall")
        .flag_if_supported("-Wextra")
        .flag_if_supported("-Wconversion");
    // The model tests push hundreds of thousands of messages through the core in a debug build.
    let level: u32 = std::env::var("OPT_LEVEL").ok().and_then(|level| level.parse().ok()).unwrap_or(2);
    build.opt_level(level.max(2));
    build.compile("touchline_matching");

    println!("cargo::rerun-if-changed=cpp/src");
    println!("cargo::rerun-if-changed=cpp/include");
    println!("cargo::rerun-if-changed=src/matching/bridge.rs");
    println!("cargo::rerun-if-changed=build.rs");
}
