//! How far PEM text is checked here: its frame and its base64. What the bytes mean is for those who use them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The first block of PEM text (RFC 7468).
pub(crate) struct Block<'a> {
    /// What stands after `BEGIN`.
    pub(crate) label: &'a str,
    /// The decoded bytes.
    pub(crate) bytes: Vec<u8>,
    /// The text after the block.
    pub(crate) rest: &'a str,
}

/// Reads the first block. The error says what is wrong with the frame.
pub(crate) fn first_block(text: &str) -> Result<Block<'_>, &'static str> {
    let (_, text) = text.split_once("-----BEGIN ").ok_or("no PEM block found")?;
    let (label, text) = text.split_once("-----").ok_or("the BEGIN line is not closed")?;
    let (body, rest) = text.split_once("-----END ").ok_or("the END line is missing")?;
    let rest = rest
        .strip_prefix(label)
        .and_then(|rest| rest.strip_prefix("-----"));
    let rest = rest.ok_or("the END line does not fit the BEGIN line")?;
    // Old encrypted keys carry headers ahead of the base64, divided from it by an empty line.
    let body = body
        .split_once("\n\n")
        .filter(|(headers, _)| headers.contains(": "))
        .map_or(body, |(_, body)| body);
    let digits: String = body
        .chars()
        .filter(|character| !character.is_ascii_whitespace())
        .collect();
    let bytes = STANDARD
        .decode(digits)
        .map_err(|_| "the text between BEGIN and END is not base64")?;
    if bytes.is_empty() {
        return Err("there is nothing between BEGIN and END");
    }
    Ok(Block { label, bytes, rest })
}

/// SHA-256 of the first certificate in hexadecimal.
pub(crate) fn digest(text: &str) -> Option<String> {
    let block = first_block(text).ok()?;
    Some(hex::encode(Sha256::digest(block.bytes)))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(crate) fn certificate(value: &Value) -> Result<(), String> {
    match first_block(text(value)) {
        Ok(block) if block.label.ends_with("CERTIFICATE") => Ok(()),
        Ok(_) => Err("invalid certificate: the PEM block is not a certificate".to_owned()),
        Err(reason) => Err(format!("invalid certificate: {reason}")),
    }
}

pub(crate) fn private_key(value: &Value) -> Result<(), String> {
    match first_block(text(value)) {
        Ok(block) if block.label.ends_with("PRIVATE KEY") => Ok(()),
        // Parameters of the curve may stand ahead of an EC key.
        Ok(block) if block.label == "EC PARAMETERS" => private_key(&Value::String(block.rest.to_owned())),
        Ok(_) => Err("invalid key: the PEM block is not a private key".to_owned()),
        Err(reason) => Err(format!("invalid key: {reason}")),
    }
}

/// A key of either kind; the text is that of credentials.
pub(crate) fn any_key(value: &Value) -> Result<(), String> {
    match first_block(text(value)) {
        Ok(block) if block.label.ends_with("KEY") => Ok(()),
        _ => Err("invalid key".to_owned()),
    }
}
