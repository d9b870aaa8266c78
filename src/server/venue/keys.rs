//! API keys of the embedded venue: who may trade on which account, and how their requests are checked.

use std::collections::BTreeMap;
use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};

use super::params::Params;
use super::refusal::Refusal;
use crate::sim::AccountId;
use crate::types::{DurationNs, TimestampNs};
use crate::venue::binance::sign::{Signer, ed25519_pem};

/// Letters of a key; 64 of them, as Binance's keys are.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const KEY_CHARS: usize = 64;
/// Binance's default and greatest receive window.
const RECEIVE_WINDOW: DurationNs = DurationNs::from_millis(5_000);
const RECEIVE_WINDOW_MAX_US: i64 = 60_000_000;
/// How far ahead of the venue's clock a request may be.
const AHEAD_MAX: DurationNs = DurationNs::from_millis(1_000);

/// The two keys of an account: what its owner configures a client with. Made anew for every run.
pub struct AccountKeys {
    /// The account.
    pub account: AccountId,
    /// Name of the HMAC key.
    pub api_key: String,
    /// Its secret.
    pub api_secret: SecretString,
    /// Name of the Ed25519 key.
    pub ed25519_api_key: String,
    /// Its private half, PKCS#8 PEM.
    pub ed25519_private_key: SecretString,
}

impl fmt::Debug for AccountKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountKeys").field("account", &self.account).finish_non_exhaustive()
    }
}

/// The system's source of random numbers gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers for new API keys")]
pub struct NoRandomness;

impl AccountKeys {
    /// New keys for an account.
    ///
    /// # Errors
    /// When the system's random source fails.
    pub fn generate(account: AccountId) -> Result<AccountKeys, NoRandomness> {
        let random = SystemRandom::new();
        let mut seed = [0_u8; 32];
        random.fill(&mut seed).map_err(|_| NoRandomness)?;
        Ok(AccountKeys {
            account,
            api_key: random_key(&random)?,
            api_secret: random_key(&random)?.into(),
            ed25519_api_key: random_key(&random)?,
            ed25519_private_key: ed25519_pem(&seed),
        })
    }
}

fn random_key(random: &SystemRandom) -> Result<String, NoRandomness> {
    let mut key = String::with_capacity(KEY_CHARS);
    while key.len() < KEY_CHARS {
        let mut bytes = [0_u8; 96];
        random.fill(&mut bytes).map_err(|_| NoRandomness)?;
        // 248 is the greatest multiple of 62 in a byte: what lies above would make some letters likelier.
        let letters = bytes.iter().filter(|&&byte| byte < 248).map(|&byte| ALPHABET[byte as usize % 62] as char);
        key.extend(letters.take(KEY_CHARS - key.len()));
    }
    Ok(key)
}

/// Whoever holds this has shown a valid key.
#[derive(Debug)]
pub struct Key {
    /// Whose.
    pub account: AccountId,
    signer: Signer,
}

impl Key {
    /// Whether it is an Ed25519 key.
    pub fn is_ed25519(&self) -> bool {
        matches!(self.signer, Signer::Ed25519(_))
    }
}

/// All keys, by name.
#[derive(Debug, Default)]
pub struct KeyRing {
    keys: BTreeMap<String, Key>,
}

impl KeyRing {
    /// Adds both keys of an account.
    ///
    /// # Panics
    /// Never for keys made by [`AccountKeys::generate`], whose texts are well-formed.
    pub fn add(&mut self, keys: &AccountKeys) {
        for (name, secret) in [(&keys.api_key, &keys.api_secret), (&keys.ed25519_api_key, &keys.ed25519_private_key)] {
            debug_assert!(!secret.expose_secret().is_empty());
            let signer = Signer::from_secret(secret).expect("generated keys are well-formed");
            self.keys.insert(name.clone(), Key { account: keys.account, signer });
        }
    }

    /// The key of that name.
    ///
    /// # Errors
    /// -2014 when there is none or it has not the shape of a key, -2015 when nobody has it.
    pub fn find(&self, name: Option<&str>) -> Result<&Key, Refusal> {
        let name = name.ok_or_else(Refusal::key_format)?;
        if name.len() != KEY_CHARS || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Refusal::key_format());
        }
        self.keys.get(name).ok_or_else(Refusal::unknown_key)
    }

    /// Checks key, time and signature of a request and says whose it is. `payload` is what was signed.
    ///
    /// # Errors
    /// -1102, -2014, -2015, -1021, -1022, in the order in which they are found.
    pub fn authenticate(
        &self,
        now: TimestampNs,
        name: Option<&str>,
        params: &Params,
        payload: &str,
    ) -> Result<AccountId, Refusal> {
        let key = self.find(name)?;
        check_time(now, params)?;
        let signature = params.required("signature")?;
        if !key.signer.verify(payload.as_bytes(), signature) {
            return Err(Refusal::signature());
        }
        Ok(key.account)
    }
}

/// Checks `timestamp` against the clock and `recvWindow`.
///
/// # Errors
/// -1102 without a timestamp, -1021 outside the window, -1131 for a window that is too wide.
pub fn check_time(now: TimestampNs, params: &Params) -> Result<(), Refusal> {
    let timestamp = params.time("timestamp")?.ok_or_else(|| Refusal::missing("timestamp"))?;
    let window = match params.get("recvWindow") {
        None => RECEIVE_WINDOW,
        Some(_) => {
            // Milliseconds with up to three places: whole microseconds.
            let e8 = params.amount("recvWindow")?.unwrap_or(0);
            if e8 % 100_000 != 0 {
                return Err(Refusal::precision("recvWindow"));
            }
            let micros = e8 / 100_000;
            if micros > RECEIVE_WINDOW_MAX_US {
                return Err(Refusal::receive_window());
            }
            DurationNs::from_micros(micros as u64)
        }
    };
    if timestamp >= now.plus(AHEAD_MAX) {
        return Err(Refusal::too_early());
    }
    if now.since(timestamp) > window {
        return Err(Refusal::too_old());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimestampNs = TimestampNs::from_millis(1_784_102_400_000);

    fn at(query: &str) -> Result<(), i32> {
        check_time(NOW, &Params::from_query_and_body(query, "")).map_err(|refusal| refusal.code)
    }

    #[test]
    fn time_is_checked_as_documented() {
        for (query, want) in [
            ("timestamp=1784102400000", Ok(())),
            ("timestamp=1784102395000", Ok(())),
            ("timestamp=1784102394999", Err(-1021)),
            ("timestamp=1784102394999&recvWindow=10000", Ok(())),
            ("timestamp=1784102399999500&recvWindow=0.5", Ok(())),
            ("timestamp=1784102399999499&recvWindow=0.5", Err(-1021)),
            ("timestamp=1784102400999", Ok(())),
            ("timestamp=1784102401000", Err(-1021)),
            ("timestamp=1784102400000&recvWindow=60000", Ok(())),
            ("timestamp=1784102400000&recvWindow=60000.001", Err(-1131)),
            ("timestamp=1784102400000&recvWindow=0.0001", Err(-1111)),
            ("recvWindow=5000", Err(-1102)),
            ("timestamp=yesterday", Err(-1100)),
        ] {
            assert_eq!(at(query), want, "{query}");
        }
    }

    #[test]
    fn keys_open_only_their_account() {
        let (a, b) = (AccountKeys::generate(AccountId(1)).unwrap(), AccountKeys::generate(AccountId(2)).unwrap());
        let mut ring = KeyRing::default();
        ring.add(&a);
        ring.add(&b);
        for (name, secret, account) in [
            (&a.api_key, &a.api_secret, 1),
            (&a.ed25519_api_key, &a.ed25519_private_key, 1),
            (&b.api_key, &b.api_secret, 2),
            (&b.ed25519_api_key, &b.ed25519_private_key, 2),
        ] {
            let mut query = "timestamp=1784102400000".to_owned();
            let payload = query.clone();
            Signer::from_secret(secret).unwrap().sign_query(&mut query);
            let params = Params::from_query_and_body(&query, "");
            assert_eq!(ring.authenticate(NOW, Some(name), &params, &payload), Ok(AccountId(account)));
            let other = if account == 1 { &b.api_key } else { &a.api_key };
            assert_eq!(ring.authenticate(NOW, Some(other), &params, &payload).unwrap_err().code, -1022);
            assert_eq!(ring.authenticate(NOW, None, &params, &payload).unwrap_err().code, -2014);
            assert_eq!(ring.authenticate(NOW, Some("short"), &params, &payload).unwrap_err().code, -2014);
            let nobody = "x".repeat(64);
            assert_eq!(ring.authenticate(NOW, Some(&nobody), &params, &payload).unwrap_err().code, -2015);
        }
        assert!(!format!("{a:?}{ring:?}").contains(a.api_secret.expose_secret()));
    }
}
