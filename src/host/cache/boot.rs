//! Which run of the kernel this is: what was written in an earlier one may never have reached the disk.

use rustix::time::{ClockId, clock_gettime};

use crate::host::system::encoding::{Decoder, Encoder};

/// One run of the kernel, from its start to its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Boot {
    /// `/proc/sys/kernel/random/boot_id`; empty without `/proc`.
    id: String,
    /// When it began, in seconds since 1970, as far as the clocks can tell.
    began: i64,
}

/// How far the answer of the clocks may be off: they are set while the kernel runs.
const CLOCK_SECONDS: u64 = 5;

impl Boot {
    pub(super) fn now() -> Self {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let seconds = |clock| clock_gettime(clock).tv_sec;
        let began = seconds(ClockId::Realtime) - seconds(ClockId::Boottime);
        Self {
            id: id.trim().to_owned(),
            began,
        }
    }

    /// Whether both are the same run. Without `/proc` the clocks decide: a machine does not start twice in so few seconds.
    pub(super) fn is(&self, other: &Self) -> bool {
        if self.id.is_empty() || other.id.is_empty() {
            self.began.abs_diff(other.began) <= CLOCK_SECONDS
        } else {
            self.id == other.id
        }
    }

    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.bytes(self.id.as_bytes()).signed(self.began);
    }

    pub(super) fn decode(decoder: &mut Decoder<'_>) -> Option<Self> {
        Some(Self {
            id: decoder.text()?,
            began: decoder.signed()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_apart_by_their_number_and_without_one_by_the_clocks() {
        let boot = |id: &str, began| Boot {
            id: id.to_owned(),
            began,
        };
        assert!(Boot::now().is(&Boot::now()));
        for (one, other, are_same) in [
            (boot("a", 0), boot("a", 1000), true),
            (boot("a", 1000), boot("b", 1000), false),
            (boot("", 1000), boot("", 1003), true),
            (boot("", 1000), boot("b", 1000), true),
            (boot("a", 1000), boot("", 1006), false),
        ] {
            assert_eq!(one.is(&other), are_same, "{one:?} {other:?}");
            assert_eq!(other.is(&one), are_same, "{other:?} {one:?}");
        }
    }
}
