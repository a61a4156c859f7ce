//! AWS Signature Version 4, by which S3 and what speaks as it knows who asks: for requests without a query, whose path needs no escapes.

use crate::fault::{Fault, Kind, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Keys of a user, and what they are for.
#[derive(Clone)]
pub struct AwsKeys {
    pub id: String,
    pub secret: String,
    /// Of keys that are valid for some hours.
    pub session: Option<String>,
    pub region: String,
}

impl AwsKeys {
    /// The headers that sign a request: `host` as the address has it, `path` from its slash on, `sha256` of the body in hexadecimal,
    /// `time` as "20130524T000000Z".
    pub fn headers(
        &self,
        method: &str,
        host: &str,
        path: &str,
        sha256: &str,
        time: &str,
    ) -> Result<Vec<(&'static str, String)>> {
        let mut headers = vec![
            ("host", host.to_owned()),
            ("x-amz-content-sha256", sha256.to_owned()),
            ("x-amz-date", time.to_owned()),
        ];
        headers.extend(self.session.iter().map(|session| ("x-amz-security-token", session.clone())));
        let signature = self.sign(method, path, &headers, sha256, time)?;
        headers.push(("authorization", signature));
        Ok(headers)
    }

    /// The value of the header `Authorization`; `headers` in the order of their names.
    fn sign(&self, method: &str, path: &str, headers: &[(&str, String)], sha256: &str, time: &str) -> Result<String> {
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let request = format!("{method}\n{path}\n\n{lines}\n{names}\n{sha256}");
        let day = time.get(..8).unwrap_or(time);
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let signed = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hexadecimal(&Sha256::digest(request)));
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [day, &self.region, "s3", "aws4_request", &signed] {
            key = hmac(&key, part)?;
        }
        let (id, signature) = (&self.id, hexadecimal(&key));
        Ok(format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"))
    }
}

fn hmac(key: &[u8], text: &str) -> Result<Vec<u8>> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key)
        .map_err(|error| Fault::new(Kind::Internal, "cannot sign a request").cause(error))?;
    hmac.update(text.as_bytes());
    Ok(hmac.finalize().into_bytes().to_vec())
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of "Authenticating Requests" in Amazon's reference of S3.
    #[test]
    fn amazons_examples_are_signed_as_amazon_signs_them() {
        let keys = AwsKeys {
            id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            session: None,
            region: "us-east-1".into(),
        };
        let (host, time) = ("examplebucket.s3.amazonaws.com", "20130524T000000Z");
        let signed = |method: &str, path: &str, headers: &[(&str, &str)], sha256: &str| {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            let header = keys.sign(method, path, &headers, sha256, time).unwrap();
            header.rsplit_once("Signature=").unwrap().1.to_owned()
        };
        let nothing = hexadecimal(&Sha256::digest(""));
        let get =
            [("host", host), ("range", "bytes=0-9"), ("x-amz-content-sha256", nothing.as_str()), ("x-amz-date", time)];
        assert_eq!(
            signed("GET", "/test.txt", &get, &nothing),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let welcome = hexadecimal(&Sha256::digest("Welcome to Amazon S3."));
        let put = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("host", host),
            ("x-amz-content-sha256", welcome.as_str()),
            ("x-amz-date", time),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        assert_eq!(
            signed("PUT", "/test%24file.text", &put, &welcome),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
    }
}
