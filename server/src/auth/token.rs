//! A token: the hash of its secret, and what it reaches.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use litevfs::types::{ClusterName, DbName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::glob::Glob;

/// What a request does, and what a token lets it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Everything that changes nothing.
    Read,
    /// Commits, leases, and all else that changes something; and reading.
    Write,
}

/// The SHA-256 of a secret: what is kept of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash of a secret as it stands in an `Authorization` header.
    pub fn of(secret: &str) -> Hash {
        Hash(Sha256::digest(secret.as_bytes()).into())
    }

    /// From 64 hex digits.
    pub fn parse(text: &str) -> Option<Hash> {
        let (mut bytes, digits) = ([0; 32], text.as_bytes());
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Hash(bytes))
    }

    /// As 64 hex digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Compares in a time that depends on neither.
    pub fn matches(&self, other: &Hash) -> subtle::Choice {
        self.0.ct_eq(&other.0)
    }
}

/// A token as the server knows it. Not the secret: that is nowhere but with its owner.
#[derive(Clone)]
pub struct Token {
    /// Names it in logs.
    pub id: Arc<str>,
    /// Of its secret.
    pub hash: Hash,
    /// The only cluster it reaches; `None` for all.
    pub cluster: Option<ClusterName>,
    /// The databases it reaches; `None` for all.
    pub databases: Option<Glob>,
    /// What it may do with them.
    pub access: Permission,
    /// From when on it is worth nothing.
    pub expires: Option<DateTime<Utc>>,
}

impl Token {
    /// A token from the command line, which may do everything in its cluster.
    ///
    /// Fails on a secret that could not stand in a header.
    pub fn given(
        id: &str,
        secret: &str,
        cluster: Option<ClusterName>,
    ) -> Result<Token, &'static str> {
        let printable = |b: u8| (b' '..=b'~').contains(&b);
        if secret.is_empty() || secret.trim() != secret || !secret.bytes().all(printable) {
            return Err("a token is one or more ASCII characters, with no space at either end");
        }
        let (hash, access) = (Hash::of(secret), Permission::Write);
        Ok(Token { id: id.into(), hash, cluster, databases: None, access, expires: None })
    }

    /// Whether it reaches a database of its cluster.
    pub fn reaches(&self, db: &DbName) -> bool {
        self.databases.as_ref().is_none_or(|glob| glob.matches(db))
    }

    /// Whether it is over.
    pub fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Makes a secret that nobody can guess.
pub fn new_secret() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(format!("lvc_{}", URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_prints_as_it_parses() {
        // The example of FIPS 180-2.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Hash::of("abc").hex(), abc);
        assert!(Hash::parse(abc) == Some(Hash::of("abc")));
        for bad in ["", "ba", &abc.replace('b', "x"), &format!("{abc}00"), &"+1".repeat(32)] {
            assert!(Hash::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn secrets_differ_and_can_stand_in_a_header() {
        let (one, two) = (new_secret().unwrap(), new_secret().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), "lvc_".len() + 43);
        assert!(Token::given("x", &one, None).is_ok());
    }

    #[test]
    fn unusable_secrets_are_refused() {
        for secret in ["", " a", "a ", "a\n", "\u{e4}"] {
            assert!(Token::given("x", secret, None).is_err(), "{secret:?}");
        }
    }
}
