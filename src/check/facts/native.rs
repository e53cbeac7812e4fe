//! Native code: what the rules keep of an ELF file, and what is native to another system.

use crate::elf::{Class, Elf, Kind, Machine, Version};
use crate::platform::SYMBOL_FAMILIES;

/// What an ELF file says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NativeCode {
    /// The size of its addresses.
    pub class: Class,
    /// The instruction set.
    pub machine: Machine,
    /// What it is for.
    pub kind: Kind,
    /// The program that the kernel starts in its place.
    pub interpreter: Option<Vec<u8>>,
    /// Where else the loader looks for the libraries that it needs.
    pub search_path: Option<Vec<u8>>,
    /// The C library that it is linked with.
    pub libc: Libc,
    /// Of each family of versioned symbols the newest that it needs, in the order of [`SYMBOL_FAMILIES`].
    pub needs: Vec<NewestNeed>,
    /// What it says to Node.js, if it is an addon.
    pub addon: Option<Addon>,
}

/// The C library that a file is linked with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Libc {
    /// The GNU one, which Amazon Linux has.
    Gnu,
    /// musl, of Alpine Linux.
    Musl,
    /// None, or it does not say.
    Unknown,
}

/// The newest version that a file needs of one family of symbols.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NewestNeed {
    /// One of [`SYMBOL_FAMILIES`].
    pub family: &'static str,
    /// The version.
    pub version: Version,
    /// The library that must have it.
    pub library: Vec<u8>,
}

/// How an addon is registered with Node.js, which decides what loads it (Node.js, *C++ addons* and *Node-API*).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Addon {
    /// By Node-API, which every later Node.js has.
    NodeApi,
    /// For the one `NODE_MODULE_VERSION`.
    Modules(u16),
}

/// A format that Linux does not execute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ForeignFormat {
    /// macOS's.
    MachO,
    /// Windows'.
    PortableExecutable,
}

impl ForeignFormat {
    /// The format that bytes begin like.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes.get(..4)? {
            // 32 and 64 bits in either order, and a file of several architectures. The last is that of Java's classes as well,
            // whose version stands where this one counts its few architectures.
            [0xfe, 0xed, 0xfa, 0xce | 0xcf] | [0xce | 0xcf, 0xfa, 0xed, 0xfe] => Some(Self::MachO),
            [0xca, 0xfe, 0xba, 0xbe] if matches!(bytes.get(4..8)?, [0, 0, 0, 1..=30]) => {
                Some(Self::MachO)
            }
            [b'M', b'Z', ..] => Some(Self::PortableExecutable),
            _ => None,
        }
    }

    /// The system that executes it.
    pub const fn system(self) -> &'static str {
        match self {
            Self::MachO => "macOS",
            Self::PortableExecutable => "Windows",
        }
    }
}

impl NativeCode {
    /// What there is to know of an ELF file of that name; `None` if it is none.
    pub(super) fn of(name: &[u8], bytes: &[u8]) -> Option<Self> {
        let elf = Elf::parse(bytes)?;
        let newest = |family: &&'static str| {
            let (version, need) = elf.newest_need(family)?;
            Some(NewestNeed {
                family,
                version,
                library: need.library.to_vec(),
            })
        };
        Some(Self {
            class: elf.class,
            machine: elf.machine,
            kind: elf.kind,
            interpreter: elf.interpreter.map(<[u8]>::to_vec),
            search_path: elf.search_path.map(<[u8]>::to_vec),
            libc: libc(&elf),
            needs: SYMBOL_FAMILIES.iter().filter_map(newest).collect(),
            addon: name.ends_with(b".node").then(|| addon(&elf)).flatten(),
        })
    }
}

fn libc(elf: &Elf<'_>) -> Libc {
    let is_musl = |name: &&[u8]| name.starts_with(b"libc.musl-");
    let loads_musl = elf
        .interpreter
        .is_some_and(|name| name.starts_with(b"/lib/ld-musl-"));
    if loads_musl || elf.needed.iter().any(is_musl) {
        Libc::Musl
    } else if elf.needed.contains(&b"libc.so.6".as_slice()) {
        Libc::Gnu
    } else {
        Libc::Unknown
    }
}

fn addon(elf: &Elf<'_>) -> Option<Addon> {
    const VERSIONED: &[u8] = b"node_register_module_v";
    const NODE_API: [&[u8]; 2] = [b"napi_register_module_v", b"napi_module_register"];
    if NODE_API
        .iter()
        .any(|prefix| elf.names_beginning(prefix).next().is_some())
    {
        return Some(Addon::NodeApi);
    }
    let name = elf.names_beginning(VERSIONED).next()?;
    let number = std::str::from_utf8(name.strip_prefix(VERSIONED)?).ok()?;
    number.parse().ok().map(Addon::Modules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_systems_are_told_by_their_first_bytes() {
        for (bytes, format) in [
            (
                &b"\xcf\xfa\xed\xfe\x07\0\0\x01"[..],
                Some(ForeignFormat::MachO),
            ),
            (b"\xca\xfe\xba\xbe\0\0\0\x02", Some(ForeignFormat::MachO)),
            // A class of Java 17.
            (b"\xca\xfe\xba\xbe\0\0\0\x3d", None),
            (b"MZ\x90\0", Some(ForeignFormat::PortableExecutable)),
            (b"\x7fELF", None),
            (b"MZ", None),
        ] {
            assert_eq!(ForeignFormat::of(bytes), format, "{bytes:?}");
        }
    }
}
