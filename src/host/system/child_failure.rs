//! How a child process tells its parent of a failure: one form for all children.

use super::encoding::{Decoder, Encoder, Mark};
use crate::host::error::ChildFailure;

/// Another form gets another mark.
const MARK: Mark = *b"slfail 2";

impl ChildFailure {
    /// The failure as bytes for a pipe.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(MARK);
        self.encode(&mut encoder);
        encoder.finish()
    }

    /// The failure that [`ChildFailure::to_bytes`] wrote; `None` if these are not such bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new(bytes, MARK)?;
        let failure = Self::decode(&mut decoder)?;
        decoder.end().map(|()| failure)
    }

    pub(in crate::host) fn encode(&self, encoder: &mut Encoder) {
        let bytes = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
        encoder
            .flag(self.is_refusal)
            .bytes(self.message.as_bytes())
            .flag(self.is_whole)
            // Layers count from 1, and no signal has the number 0.
            .number(self.layer.map_or(0, |layer| layer as u64))
            .optional(bytes(&self.entry).as_deref())
            .optional(bytes(&self.hint).as_deref())
            .signed(self.signal.unwrap_or(0).into())
            .list(&self.left_behind, |encoder, text| {
                encoder.bytes(text.as_bytes());
            });
    }

    pub(in crate::host) fn decode(decoder: &mut Decoder<'_>) -> Option<Self> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(Self {
            is_refusal: decoder.flag()?,
            message: decoder.text()?,
            is_whole: decoder.flag()?,
            layer: decoder.count().map(|layer| (layer > 0).then_some(layer))?,
            entry: decoder.optional()?.map(text),
            hint: decoder.optional()?.map(text),
            signal: i32::try_from(decoder.signed()?)
                .ok()
                .map(|signal| (signal != 0).then_some(signal))?,
            left_behind: decoder.list(Decoder::text)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_failure_reaches_the_parent() {
        let whole = ChildFailure {
            is_refusal: true,
            message: "layer 2 of 3 (`b.zip`): entry `x\u{0}y`: it is unsafe".to_owned(),
            is_whole: true,
            layer: Some(2),
            entry: Some("x\\0y".to_owned()),
            hint: Some("pack it again".to_owned()),
            signal: Some(15),
            left_behind: vec!["one".to_owned(), String::new()],
        };
        let parts = [
            ChildFailure::default(),
            ChildFailure {
                layer: None,
                ..whole.clone()
            },
            ChildFailure {
                entry: None,
                hint: None,
                ..whole.clone()
            },
            ChildFailure {
                signal: None,
                left_behind: Vec::new(),
                ..whole.clone()
            },
            whole,
        ];
        for failure in parts {
            let bytes = failure.to_bytes();
            assert_eq!(ChildFailure::from_bytes(&bytes), Some(failure));
            for cut in 0..bytes.len() {
                let piece = bytes.get(..cut).unwrap_or_default();
                assert_eq!(ChildFailure::from_bytes(piece), None, "cut at {cut}");
            }
        }
    }
}
