//! API credentials: from the environment or a `.env` file, never from the configuration, never shown.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use crate::run::{Failure, exit};

const KEY: &str = "BINANCE_API_KEY";
const SECRET: &str = "BINANCE_API_SECRET";

/// An API key and its secret. `Debug` shows neither.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    /// The key, sent as `X-MBX-APIKEY`.
    pub key: SecretString,
    /// The HMAC secret, or a PKCS#8 PEM of an Ed25519 key.
    pub secret: SecretString,
}

impl ApiKeys {
    /// The credentials of the environment, or of `.env` in `folder`; `None` when neither has any. The environment wins
    /// as a whole: a key of one and a secret of the other are never mixed.
    ///
    /// # Errors
    /// When only one half is there, or when `.env` can be read by others or cannot be understood.
    pub fn load(folder: &Path) -> Result<Option<ApiKeys>, Failure> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(keys) = pair(variable(KEY), variable(SECRET), "the environment")? {
            return Ok(Some(keys));
        }
        let path = folder.join(".env");
        if !path.exists() {
            return Ok(None);
        }
        refuse_shared(&path)?;
        let (mut key, mut secret) = (None, None);
        let unreadable = |why: String| {
            Failure::new(
                "E_CONF_010",
                exit::CONFIG,
                format!("{} cannot be read", path.display()),
                why,
                "write lines of the form NAME=value",
            )
        };
        // The crate's error quotes the line, which may hold the secret: its kind is told, its text is not.
        for item in dotenvy::from_path_iter(&path).map_err(|_| unreadable("it cannot be opened".into()))? {
            let (name, value) = item.map_err(|_| unreadable("a line is not NAME=value".into()))?;
            match name.as_str() {
                KEY if !value.is_empty() => key = Some(value),
                SECRET if !value.is_empty() => secret = Some(value),
                _ => {}
            }
        }
        pair(key, secret, &path.display().to_string())
    }

    /// Whether the secret is an Ed25519 key rather than an HMAC secret.
    pub fn is_ed25519(&self) -> bool {
        self.secret.expose_secret().trim_start().starts_with("-----BEGIN PRIVATE KEY-----")
    }
}

fn pair(key: Option<String>, secret: Option<String>, place: &str) -> Result<Option<ApiKeys>, Failure> {
    let missing = match (key, secret) {
        (None, None) => return Ok(None),
        (Some(key), Some(secret)) => return Ok(Some(ApiKeys { key: key.into(), secret: secret.into() })),
        (Some(_), None) => SECRET,
        (None, Some(_)) => KEY,
    };
    Err(Failure::new(
        "E_CONF_008",
        exit::CONFIG,
        format!("{missing} is missing in {place}"),
        "a key and its secret only work together",
        format!("set both {KEY} and {SECRET} in the same place, or neither"),
    ))
}

fn refuse_shared(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map(|meta| meta.permissions().mode()).unwrap_or(0);
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::new(
        "E_CONF_009",
        exit::CONFIG,
        format!("{} can be read or written by others (mode {:03o})", path.display(), mode & 0o777),
        "it holds API secrets",
        format!("run `chmod 600 {}`", path.display()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn env_file(text: &str, mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        folder
    }

    #[test]
    fn a_private_env_file_gives_keys_that_debug_does_not_show() {
        let folder = env_file("BINANCE_API_KEY=abc\nBINANCE_API_SECRET='s3cret'\n", 0o600);
        let keys = ApiKeys::load(folder.path()).unwrap().unwrap();
        assert_eq!(keys.key.expose_secret(), "abc");
        assert_eq!(keys.secret.expose_secret(), "s3cret");
        let shown = format!("{keys:?}");
        assert!(!shown.contains("abc") && !shown.contains("s3cret"), "{shown}");
        assert!(!keys.is_ed25519());
    }

    #[test]
    fn an_env_file_that_others_can_read_is_refused() {
        let folder = env_file("BINANCE_API_KEY=abc\nBINANCE_API_SECRET=s3cret\n", 0o644);
        assert_eq!(ApiKeys::load(folder.path()).unwrap_err().code, "E_CONF_009");
    }

    #[test]
    fn half_a_pair_is_refused_and_no_secret_is_quoted() {
        let folder = env_file("BINANCE_API_SECRET=s3cret\n", 0o600);
        let failure = ApiKeys::load(folder.path()).unwrap_err();
        assert_eq!(failure.code, "E_CONF_008");
        assert!(!failure.to_string().contains("s3cret"));
        let folder = env_file("BINANCE_API_SECRET s3cret\n", 0o600);
        let failure = ApiKeys::load(folder.path()).unwrap_err();
        assert_eq!(failure.code, "E_CONF_010");
        assert!(!failure.to_string().contains("s3cret"));
    }

    #[test]
    fn no_env_file_means_no_keys() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ApiKeys::load(folder.path()).unwrap().is_none());
    }
}
