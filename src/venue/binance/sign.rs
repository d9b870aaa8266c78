//! Signatures of requests: HMAC-SHA256 and Ed25519.
//!
//! Owns key material and nothing else. Called by the gateway for every order, so signing appends to a buffer of the
//! caller and allocates nothing when that has room; called by the embedded venue to verify. It must never print a
//! key: `Debug` of every type here is redacted.
//!
//! Source: Binance's "SIGNED endpoint security" (REST) and "Request security" (WebSocket API).

use std::fmt;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use ring::digest::SHA256_OUTPUT_LEN;
use ring::hmac;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use secrecy::{ExposeSecret, SecretString};

/// DER of a PKCS#8 version 1 Ed25519 key up to the 32 bytes of the seed (RFC 8410, section 7).
const PKCS8_V1_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const PEM_HEAD: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_TAIL: &str = "-----END PRIVATE KEY-----";

/// Why a text is not a usable key. It never holds any of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is empty.
    #[error("the key is empty")]
    Empty,
    /// No `BEGIN PRIVATE KEY` block, or its base64 is broken.
    #[error("not a PEM block of the kind PRIVATE KEY")]
    Pem,
    /// The block holds no Ed25519 key in PKCS#8 form. RSA keys are among these: they are not supported.
    #[error("the PEM block holds no Ed25519 key in PKCS#8 form")]
    NotEd25519,
}

/// Signs request payloads with one account's key.
pub enum Signer {
    /// HMAC-SHA256, written as lower-case hex.
    Hmac(HmacKey),
    /// Ed25519, written as base64.
    Ed25519(Ed25519Key),
}

/// A shared secret, kept in the form that hashing wants.
pub struct HmacKey(hmac::Key);

/// An Ed25519 private key with its public half.
pub struct Ed25519Key(Box<Ed25519KeyPair>);

impl Signer {
    /// A signer from what the person configured: a PEM text is an Ed25519 key, anything else an HMAC secret.
    ///
    /// # Errors
    /// [`KeyError`] when the text is empty or a PEM block that is no Ed25519 key.
    pub fn from_secret(secret: &SecretString) -> Result<Signer, KeyError> {
        if secret.expose_secret().contains("PRIVATE KEY") { Self::ed25519_from_pem(secret) } else { Self::hmac(secret) }
    }

    /// An HMAC signer; surrounding white space, which copying from a page adds, is no part of the secret.
    ///
    /// # Errors
    /// [`KeyError::Empty`].
    pub fn hmac(secret: &SecretString) -> Result<Signer, KeyError> {
        let text = secret.expose_secret().trim();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        Ok(Signer::Hmac(HmacKey(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))))
    }

    /// An Ed25519 signer from a PKCS#8 PEM, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// [`KeyError`] when it is no such text.
    pub fn ed25519_from_pem(pem: &SecretString) -> Result<Signer, KeyError> {
        let text = pem.expose_secret();
        let (_, rest) = text.split_once(PEM_HEAD).ok_or(KeyError::Pem)?;
        let (body, _) = rest.split_once(PEM_TAIL).ok_or(KeyError::Pem)?;
        // A key given through an environment variable often has the two characters `\n` for a line end.
        let body: SecretString = body.replace("\\n", "").split_whitespace().collect::<String>().into();
        let der = BASE64.decode(body.expose_secret().as_bytes()).map_err(|_| KeyError::Pem)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| KeyError::NotEd25519)?;
        Ok(Signer::Ed25519(Ed25519Key(Box::new(pair))))
    }

    /// Appends the signature of `payload`: hex for HMAC, base64 for Ed25519.
    pub fn sign(&self, payload: &[u8], out: &mut String) {
        match self {
            Signer::Hmac(key) => push_hex(hmac::sign(&key.0, payload).as_ref(), out),
            Signer::Ed25519(key) => BASE64.encode_append(key.0.sign(payload).as_ref(), out),
        }
    }

    /// Appends `&signature=…` over all of `payload` so far, percent-encoded as a query string or form body wants it.
    ///
    /// The payload must already be percent-encoded: Binance refuses signatures over the plain text (-1022).
    pub fn sign_query(&self, payload: &mut String) {
        self.sign_query_like(payload, &mut Beginnings::default());
    }

    /// The same for payloads that begin like those before them.
    pub fn sign_query_like(&self, payload: &mut String, beginnings: &mut Beginnings) {
        match self {
            Signer::Hmac(key) => {
                let tag = beginnings.sign(&key.0, payload.as_bytes());
                payload.push_str("&signature=");
                push_hex(tag.as_ref(), payload);
            }
            Signer::Ed25519(key) => {
                let signature = key.0.sign(payload.as_bytes());
                let mut text = [0_u8; 88];
                BASE64.encode_mut(signature.as_ref(), &mut text);
                payload.push_str("&signature=");
                for byte in text {
                    match byte {
                        b'+' => payload.push_str("%2B"),
                        b'/' => payload.push_str("%2F"),
                        b'=' => payload.push_str("%3D"),
                        _ => payload.push(byte as char),
                    }
                }
            }
        }
    }

    /// Whether `signature` (hex in either case, or base64; already percent-decoded) is this key's over `payload`.
    pub fn verify(&self, payload: &[u8], signature: &str) -> bool {
        match self {
            Signer::Hmac(key) => HEXLOWER_PERMISSIVE
                .decode(signature.as_bytes())
                .is_ok_and(|tag| hmac::verify(&key.0, payload, &tag).is_ok()),
            Signer::Ed25519(key) => BASE64.decode(signature.as_bytes()).is_ok_and(|bytes| {
                UnparsedPublicKey::new(&ED25519, key.0.public_key().as_ref()).verify(payload, &bytes).is_ok()
            }),
        }
    }

    /// Whether the WebSocket API lets this key log on.
    pub fn is_ed25519(&self) -> bool {
        matches!(self, Signer::Ed25519(_))
    }
}

/// The digits of each byte.
const HEX: [[u8; 2]; 256] = {
    let (digits, mut pairs, mut byte) = (b"0123456789abcdef", [[0; 2]; 256], 0);
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Appends the hex of a hash. The library that the rest of this file uses takes some 420 instructions for it, on the way of
/// each order.
fn push_hex(hash: &[u8], out: &mut String) {
    let mut text = [[0; 2]; SHA256_OUTPUT_LEN];
    let digits = &mut text[..hash.len()];
    digits.iter_mut().zip(hash).for_each(|(pair, byte)| *pair = HEX[usize::from(*byte)]);
    // Digits are ASCII; an empty text would be a signature that the venue refuses.
    out.push_str(std::str::from_utf8(digits.as_flattened()).unwrap_or_default());
}

/// Bytes that SHA-256 takes at a time.
const BLOCK: usize = 64;

/// What the first block of the last payloads left of their hashes: orders of a side begin alike, and each block takes a
/// twentieth of a microsecond of the way to an order. Of one key.
#[derive(Default)]
pub struct Beginnings {
    kept: [Option<([u8; BLOCK], hmac::Context)>; 2],
    oldest: usize,
}

impl Beginnings {
    fn sign(&mut self, key: &hmac::Key, payload: &[u8]) -> hmac::Tag {
        let Some((first, rest)) = payload.split_first_chunk::<BLOCK>() else { return hmac::sign(key, payload) };
        let known = self.kept.iter().flatten().find(|(block, _)| block == first).map(|(_, hash)| hash.clone());
        let mut hash = known.unwrap_or_else(|| {
            let mut hash = hmac::Context::with_key(key);
            hash.update(first);
            self.kept[self.oldest] = Some((*first, hash.clone()));
            self.oldest = (self.oldest + 1) % self.kept.len();
            hash
        });
        hash.update(rest);
        hash.sign()
    }
}

impl fmt::Debug for Beginnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is kept depends on the key.
        f.debug_struct("Beginnings").finish_non_exhaustive()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signer::Hmac(_) => "Signer::Hmac(redacted)",
            Signer::Ed25519(_) => "Signer::Ed25519(redacted)",
        })
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(redacted)")
    }
}

impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed25519Key(redacted)")
    }
}

/// The PKCS#8 PEM of the Ed25519 key with that seed, in version 1, which every library reads.
pub fn ed25519_pem(seed: &[u8; 32]) -> SecretString {
    let mut der = [0_u8; 48];
    der[..16].copy_from_slice(&PKCS8_V1_HEAD);
    der[16..].copy_from_slice(seed);
    format!("{PEM_HEAD}\n{}\n{PEM_TAIL}\n", BASE64.encode(&der)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_that_begin_alike_are_signed_as_any_other() {
        let signer = Signer::hmac(&"secret".into()).unwrap();
        let mut beginnings = Beginnings::default();
        let begins = ["symbol=BTCUSDT", "symbol=ETHUSDT", "symbol=SOLUSDT"];
        for round in 0..40_usize {
            // Shorter than a block, as long as one, longer; three beginnings for the two that are kept.
            let mut payload = format!("{}&x={}", begins[round % 3], "y".repeat([5, 47, 48, 130][round % 4]));
            if round % 5 == 0 {
                payload.push_str("&z=1");
            }
            let mut want = payload.clone();
            want.push_str("&signature=");
            signer.sign(payload.as_bytes(), &mut want);
            signer.sign_query_like(&mut payload, &mut beginnings);
            assert_eq!(payload, want);
        }
    }

    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";

    fn hmac_signer() -> Signer {
        Signer::hmac(&SECRET.into()).unwrap()
    }

    fn signed(signer: &Signer, payload: &str) -> String {
        let mut out = String::new();
        signer.sign(payload.as_bytes(), &mut out);
        out
    }

    fn seed(hex: &str) -> [u8; 32] {
        HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).unwrap().try_into().unwrap()
    }

    /// Binance's own example for REST, with the values that its page prints.
    #[test]
    fn hmac_gives_the_documented_rest_signature() {
        let payload = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000\
                       &timestamp=1499827319559";
        let want = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
        assert_eq!(signed(&hmac_signer(), payload), want);
        let mut query = payload.to_owned();
        hmac_signer().sign_query(&mut query);
        assert_eq!(query, format!("{payload}&signature={want}"));
    }

    /// Binance's own example for the WebSocket API.
    #[test]
    fn hmac_gives_the_documented_websocket_signature() {
        let payload = "apiKey=vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A&price=52000.00\
                       &quantity=0.01000000&recvWindow=100&side=SELL&symbol=BTCUSDT&timeInForce=GTC\
                       &timestamp=1645423376532&type=LIMIT";
        let want = "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24";
        assert_eq!(signed(&hmac_signer(), payload), want);
        assert!(hmac_signer().verify(payload.as_bytes(), want));
        assert!(hmac_signer().verify(payload.as_bytes(), &want.to_uppercase()));
    }

    /// RFC 8032, section 7.1, tests 1 and 2.
    #[test]
    fn ed25519_gives_the_signatures_of_rfc_8032() {
        for (key, message, want) in [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
                 d25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "r",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
                 387b2eaeb4302aeeb00d291612bb0c00",
            ),
        ] {
            let signer = Signer::from_secret(&ed25519_pem(&seed(key))).unwrap();
            let want = BASE64.encode(&HEXLOWER_PERMISSIVE.decode(want.as_bytes()).unwrap());
            assert_eq!(signed(&signer, message), want);
            assert!(signer.verify(message.as_bytes(), &want));
            assert!(!signer.verify(b"another message", &want));
        }
    }

    #[test]
    fn base64_is_percent_encoded_in_queries() {
        let signer = Signer::from_secret(&ed25519_pem(&seed(
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        )))
        .unwrap();
        for price in 0..50 {
            let payload = format!("symbol=BTCUSDT&price={price}");
            let mut query = payload.clone();
            signer.sign_query(&mut query);
            let value = query.strip_prefix(&format!("{payload}&signature=")).unwrap();
            assert!(!value.contains(['+', '/', '=']), "{value}");
            let plain = value.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
            assert!(signer.verify(payload.as_bytes(), &plain));
        }
    }

    #[test]
    fn a_changed_payload_or_signature_fails() {
        let signer = hmac_signer();
        let signature = signed(&signer, "a=1");
        assert!(signer.verify(b"a=1", &signature));
        assert!(!signer.verify(b"a=2", &signature));
        for wrong in ["", "zz", &signature[1..], "00", "éé"] {
            assert!(!signer.verify(b"a=1", wrong), "{wrong}");
        }
    }

    #[test]
    fn broken_keys_are_refused_without_showing_them() {
        let rsa_like = format!("{PEM_HEAD}\n{}\n{PEM_TAIL}", BASE64.encode(&[0x30; 64]));
        for (text, want) in [
            ("", KeyError::Empty),
            ("  \n", KeyError::Empty),
            ("-----BEGIN RSA PRIVATE KEY-----", KeyError::Pem),
            ("-----BEGIN PRIVATE KEY-----\n???\n-----END PRIVATE KEY-----", KeyError::Pem),
            (rsa_like.as_str(), KeyError::NotEd25519),
        ] {
            assert_eq!(Signer::from_secret(&text.into()).err(), Some(want), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let pem = ed25519_pem(&[7; 32]);
        let shown = format!("{:?} {:?} {pem:?}", hmac_signer(), Signer::from_secret(&pem).unwrap());
        assert!(!shown.contains("NhqP") && !shown.contains("MC4C"), "{shown}");
    }

    #[test]
    fn pem_from_an_environment_variable_is_read() {
        let pem = ed25519_pem(&[7; 32]);
        let one_line: SecretString = pem.expose_secret().replace('\n', "\\n").into();
        let (a, b) = (Signer::from_secret(&pem).unwrap(), Signer::from_secret(&one_line).unwrap());
        assert_eq!(signed(&a, "x"), signed(&b, "x"));
    }
}
