//! Every error code of the source has its page, and every page its code.

use std::collections::BTreeSet;
use std::path::Path;

fn codes_in(text: &str, codes: &mut BTreeSet<String>) {
    for (at, _) in text.match_indices("E_") {
        let code: String =
            text[at..].chars().take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_').collect();
        let digits = code.rsplit('_').next().unwrap_or_default();
        let boundary = at == 0 || !text.as_bytes()[at - 1].is_ascii_alphanumeric() && text.as_bytes()[at - 1] != b'_';
        if boundary && code.matches('_').count() == 2 && digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit())
        {
            codes.insert(code);
        }
    }
}

fn walk(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, codes);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            // Test modules make up codes of their own.
            codes_in(text.split("#[cfg(test)]").next().unwrap_or_default(), codes);
        }
    }
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut codes = BTreeSet::new();
    walk(&root.join("src"), &mut codes);
    assert!(codes.contains("E_CONF_001"), "the search finds nothing: {codes:?}");
    let mut pages = BTreeSet::new();
    for entry in std::fs::read_dir(root.join("docs/errors")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let stem = name.trim_end_matches(".md").to_owned();
        if stem == "README" {
            continue;
        }
        let text = std::fs::read_to_string(root.join("docs/errors").join(&name)).unwrap();
        assert!(text.starts_with(&format!("# {stem}: ")), "{name} does not start with its code");
        assert!(text.contains("Exit code "), "{name} names no exit code");
        assert!(text.contains("**What to do.**"), "{name} does not say what to do");
        pages.insert(stem);
    }
    assert_eq!(codes, pages, "left: codes in src, right: pages in docs/errors");
}
