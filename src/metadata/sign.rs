//! The proof towards Nova that an instance id is our word, not a guest's.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Secret;

/// Signs instance ids with one secret. The key schedule is computed once.
#[derive(Clone)]
pub(super) struct Signer(Hmac<Sha256>);

impl Signer {
    pub(super) fn new(secret: &Secret) -> Self {
        let keyed = Hmac::new_from_slice(secret.bytes());
        Self(keyed.expect("HMAC takes keys of every length (RFC 2104 section 3)"))
    }

    /// `X-Instance-ID-Signature`: HMAC-SHA256 of the id in lower-case hex.
    pub(super) fn sign(&self, instance: &str) -> [u8; 64] {
        let mut mac = self.0.clone();
        mac.update(instance.as_bytes());
        let mut text = [0; 64];
        hex::encode_to_slice(mac.finalize().into_bytes(), &mut text)
            .expect("32 bytes are 64 hex digits");
        text
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_signed_as_neutron_signs_them() {
        // The first value was computed by Neutron's agent; the others with Python's hmac module.
        for (secret, id, want) in [
            (
                "s3cr3t",
                "00000000-0000-0000-0000-000000000001",
                "4633e7111f29c507e8238f6f7329bb283016c1f803c84014b151db7954e61ff0",
            ),
            (
                "",
                "",
                "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
            ),
        ] {
            let got = Signer::new(&Secret::new(secret)).sign(id);
            assert_eq!(String::from_utf8_lossy(&got), want, "{secret:?} {id:?}");
        }
    }

    #[test]
    fn the_key_never_prints() {
        assert_eq!(
            format!("{:?}", Signer::new(&Secret::new("s3cr3t"))),
            "Signer(..)"
        );
    }
}
