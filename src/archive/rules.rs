//! Every reason for which an archive is refused, each with the sentence that the user reads.
//!
//! An archive that two readers could read differently, or that is unsafe, is refused. The few rules that are broken by honest
//! but careless writers too, and whose breaking harms nobody, may be waived by [`Strictness::Lenient`].

use crate::path::{Escaped, NameError};

/// How much ambiguity is accepted.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Strictness {
    /// None.
    #[default]
    Strict,
    /// What is ambiguous but harmless ([`BrokenRule::is_harmless`]); each case is recorded. Nothing unsafe, ever.
    Lenient,
}

/// A rule that an archive broke. The sections are those of PKWARE's APPNOTE 6.3.10.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's sentence says what it is")]
#[non_exhaustive]
pub enum BrokenRule {
    // The archive as a whole (4.3.12 to 4.3.16).
    #[error("it is not a zip archive: there is no end of central directory record")]
    NotAZip,
    #[error("it is empty")]
    EmptyFile,
    #[error("{0} bytes follow the end of the archive")]
    TrailingBytes(u64),
    #[error("it has more than one end of central directory record")]
    SeveralEndRecords,
    #[error("a comment contains a zip signature")]
    SignatureInComment,
    #[error("it is one part of an archive that spans several disks")]
    SeveralDisks,
    #[error("the end record counts {stated} entries, the central directory holds {found}")]
    EntryCount { stated: u64, found: u64 },
    #[error("{0} bytes stand before the first entry")]
    PrependedBytes(u64),
    #[error("the central directory does not lie where the end record says")]
    DirectoryRange,
    #[error("the central directory is {0} bytes long, more than this program reads")]
    DirectoryTooLarge(u64),
    #[error("the central directory is damaged: {0}")]
    DirectoryDamaged(&'static str),
    #[error("its zip64 records contradict one another: {0}")]
    Zip64(&'static str),

    // One entry, as the central directory describes it (4.3.12).
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("the extra field with its Unicode name gives another name")]
    UnicodeName,
    #[error("its extra fields are damaged: {0}")]
    ExtraFields(&'static str),
    #[error("it is encrypted")]
    Encrypted,
    #[error("it holds patch data")]
    PatchData,
    #[error("compression method {0}{name} is not supported: Lambda layers are stored or deflated", name = method_name(*.0))]
    Method(u16),
    #[error("it is a {0}, which has no place in a layer")]
    SpecialFile(&'static str),
    #[error("its attributes say directory, its name does not end in `/`")]
    DirectoryWithoutSlash,
    #[error("its name ends in `/`, its attributes say regular file")]
    FileWithSlash,
    #[error("its name ends in `/`, its attributes say symbolic link")]
    SymlinkWithSlash,
    #[error("it names the root and is not a directory")]
    RootNotDirectory,
    #[error("a directory with data")]
    DirectoryWithData,
    #[error(
        "it is stored, but its compressed size {compressed} is not its uncompressed size {uncompressed}"
    )]
    StoredSizes { compressed: u64, uncompressed: u64 },
    #[error(
        "{compressed} bytes cannot inflate to {uncompressed}: deflate gives at most 1032 for one"
    )]
    Ratio { compressed: u64, uncompressed: u64 },
    #[error("the target of the link is empty")]
    EmptyTarget,
    #[error("the target of the link is {0} bytes long, more than 4095")]
    TargetTooLong(u64),
    #[error("the target of the link contains a NUL byte")]
    TargetNul,
    #[error("the targets of its links are longer than 16 MiB together")]
    TargetsTooLong,
    #[error("its data overlaps the data of `{0}`")]
    Overlap(String),
    #[error("its data reaches beyond the entries")]
    BeyondEntries,

    // Several entries of one archive.
    #[error("the archive names it twice, and the two differ in {0}")]
    Duplicate(&'static str),
    #[error("the archive names it both as a directory and as something else")]
    FileAndDirectory,
    #[error("it lies below `{parent}`, which is a {kind}")]
    BelowNonDirectory {
        parent: String,
        kind: crate::entry::Kind,
    },

    // One entry, as its local header and its data are read (4.3.7 to 4.3.9).
    #[error("there is no local header where the central directory says")]
    LocalSignature,
    #[error("the local header names `{}`", Escaped(.0))]
    LocalName(Vec<u8>),
    #[error("the local header gives another compression method")]
    LocalMethod,
    #[error("the flags of the local header differ from those of the central directory")]
    LocalFlags,
    #[error("the local header gives another {0}")]
    LocalSizes(&'static str),
    #[error("the data descriptor after it gives other values than the central directory")]
    DataDescriptor,
    #[error("{0} bytes that belong to no entry follow it")]
    Gap(u64),
    #[error("an entry that the central directory does not name follows it")]
    HiddenEntry,
    #[error("its data is damaged: it does not inflate")]
    Inflate,
    #[error("it inflates to another size than the {0} bytes that are stated")]
    Size(u64),
    #[error("its deflate stream ends before its data does")]
    DeflateSlack,
    #[error("its data is damaged: the CRC-32 is {found:08x}, not {stated:08x}")]
    Crc { stated: u32, found: u32 },
}

impl BrokenRule {
    /// Whether breaking it is ambiguous but harmless, so that `--lenient` accepts it: the directory is believed, and of two
    /// entries of one name the last one wins.
    pub const fn is_harmless(&self) -> bool {
        matches!(
            self,
            Self::TrailingBytes(_)
                | Self::PrependedBytes(_)
                | Self::DirectoryWithoutSlash
                | Self::FileWithSlash
                | Self::Duplicate(_)
                | Self::LocalName(_)
                | Self::LocalFlags
                | Self::LocalSizes(_)
                | Self::DataDescriptor
                | Self::Gap(_)
                | Self::HiddenEntry
        )
    }
}

/// The method's name in APPNOTE 4.4.5, in brackets.
const fn method_name(method: u16) -> &'static str {
    match method {
        1 => " (shrink)",
        6 => " (implode)",
        9 => " (deflate64)",
        12 => " (bzip2)",
        14 => " (lzma)",
        20 | 93 => " (zstd)",
        95 => " (xz)",
        98 => " (ppmd)",
        99 => " (AES encryption)",
        _ => "",
    }
}

/// A broken rule, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Refusal {
    /// The rule.
    pub rule: BrokenRule,
    /// The entry that broke it; `None` when it is the archive as a whole.
    pub entry: Option<EntryPlace>,
}

/// Which entry of an archive.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct EntryPlace {
    /// Its position in the central directory, from 0.
    pub index: u32,
    /// Its name as the archive gives it.
    pub name: Vec<u8>,
}

impl Refusal {
    /// The archive as a whole broke `rule`.
    pub const fn archive(rule: BrokenRule) -> Self {
        Self { rule, entry: None }
    }

    /// One entry broke `rule`.
    pub fn entry(rule: BrokenRule, index: u32, name: &[u8]) -> Self {
        Self {
            rule,
            entry: Some(EntryPlace {
                index,
                name: name.to_vec(),
            }),
        }
    }

    /// Under [`Strictness::Lenient`] and for a harmless rule, records the case in `waived`.
    ///
    /// # Errors
    ///
    /// The refusal itself in every other case.
    pub fn waive(self, strictness: Strictness, waived: &mut Vec<Self>) -> Result<(), Self> {
        if strictness == Strictness::Lenient && self.rule.is_harmless() {
            waived.push(self);
            return Ok(());
        }
        Err(self)
    }
}
