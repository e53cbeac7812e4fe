//! What an ELF file says of itself: for which machine it is, what loads it, and what it needs from the system.
//!
//! The values are those that the dynamic loader goes by: they are found through the program headers, so that a file
//! without section headers says as much as any other (`elf(5)`, `ld.so(8)`; the version tables are those of the *Linux
//! Standard Base Core Specification*, "Symbol Versioning"). A file that is damaged or cut off says what is left of it. Each
//! reading is bounded: a hostile file costs a few megabytes of looking, and no allocation follows a number in it.

use std::fmt;

use object::elf;
use object::endian::Endianness;
use object::pod::{self, Pod};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};

/// Real files have about ten program headers, the largest below a hundred.
const MOST_SEGMENTS: usize = 1024;
/// Real files have about thirty dynamic entries.
const MOST_DYNAMIC_ENTRIES: usize = 4096;
/// Libraries, versions and version tables that are read; real files need a few dozen.
const MOST_NEEDS: usize = 1024;
/// `PATH_MAX`: no library, interpreter or version has a longer name.
const LONGEST_NAME_BYTES: usize = 4096;

/// The size of addresses: `ELFCLASS32` or `ELFCLASS64`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Class {
    /// 32 bits.
    Bits32,
    /// 64 bits.
    Bits64,
}

/// The instruction set, `e_machine`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Machine {
    /// `EM_AARCH64`, which Lambda calls `arm64`.
    Aarch64,
    /// `EM_X86_64`.
    X86_64,
    /// Any other, by its number.
    Other(u16),
}

impl fmt::Display for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Aarch64 => "arm64",
            Self::X86_64 => "x86_64",
            Self::Other(3) => "i386",
            Self::Other(8) => "mips",
            Self::Other(20) => "ppc",
            Self::Other(21) => "ppc64",
            Self::Other(22) => "s390",
            Self::Other(40) => "arm",
            Self::Other(243) => "riscv",
            Self::Other(258) => "loongarch",
            Self::Other(number) => return write!(out, "machine {number}"),
        };
        out.write_str(name)
    }
}

/// What the file is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// A program, at a fixed address or position-independent.
    Executable,
    /// A library that programs load.
    Shared,
    /// An object file, a core dump, a kernel module: nothing that is executed as it is.
    Other,
}

/// A version of symbols that the file needs from one library.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct VersionNeed<'a> {
    /// The library, as `libc.so.6`.
    pub library: &'a [u8],
    /// The version, as `GLIBC_2.34`.
    pub version: &'a [u8],
    /// The loader goes on when the library lacks it (`VER_FLG_WEAK`).
    pub is_weak: bool,
}

/// One ELF file.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Elf<'a> {
    /// The size of its addresses.
    pub class: Class,
    /// The instruction set.
    pub machine: Machine,
    /// What it is for.
    pub kind: Kind,
    /// The program that the kernel starts in its place (`PT_INTERP`), usually the dynamic loader.
    pub interpreter: Option<&'a [u8]>,
    /// The name by which other files need it (`DT_SONAME`).
    pub soname: Option<&'a [u8]>,
    /// The libraries that it needs (`DT_NEEDED`), in the order in which they are loaded.
    pub needed: Vec<&'a [u8]>,
    /// Where else those are looked for (`DT_RUNPATH`, `DT_RPATH`), as written: directories joined by colons, `$ORIGIN` for the
    /// file's own.
    pub search_path: Option<&'a [u8]>,
    /// The versions of symbols that it needs, in the order of the file.
    pub version_needs: Vec<VersionNeed<'a>>,
    strings: &'a [u8],
}

impl<'a> Elf<'a> {
    /// Reads a file from its beginning; `None` when it is not ELF. Of a file that is cut off, what is missing is empty.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        match bytes.get(4)? {
            1 => Some(Reader::<elf::FileHeader32<Endianness>>::new(bytes)?.read(Class::Bits32)),
            2 => Some(Reader::<elf::FileHeader64<Endianness>>::new(bytes)?.read(Class::Bits64)),
            _ => None,
        }
    }

    /// The newest version of a family that it needs, and from which library: of `GLIBC`, perhaps `2.34` of `libc.so.6`.
    /// Versions without a number, such as `GLIBC_PRIVATE`, say nothing about age; weak ones need not be there.
    pub fn newest_need(&self, family: &str) -> Option<(Version, VersionNeed<'a>)> {
        self.version_needs
            .iter()
            .filter(|need| !need.is_weak)
            .filter_map(|need| Some((Version::of_family(family, need.version)?, *need)))
            .max_by_key(|(version, _)| *version)
    }

    /// The names that begin with `prefix` among those of its dynamic symbols, defined here or elsewhere.
    pub fn names_beginning(&self, prefix: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.strings
            .split(|&byte| byte == 0)
            .filter(move |name| name.starts_with(prefix))
    }
}

/// The number in a version of symbols: `GLIBC_2.34` is 2.34.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version(pub [u16; 3]);

impl Version {
    /// A version of two numbers.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self([major, minor, 0])
    }

    /// The number of `version` if it is one of this family.
    pub fn of_family(family: &str, version: &[u8]) -> Option<Self> {
        let rest = version
            .strip_prefix(family.as_bytes())?
            .strip_prefix(b"_")?;
        // The mark of a file with packed relocations, which glibc bears since 2.36 (its NEWS).
        if family == "GLIBC" && rest == b"ABI_DT_RELR" {
            return Some(Self::new(2, 36));
        }
        let mut numbers = [0; 3];
        let mut parts = std::str::from_utf8(rest).ok()?.split('.');
        for (place, part) in parts.by_ref().take(3).enumerate() {
            *numbers.get_mut(place)? = part.parse().ok()?;
        }
        parts.next().is_none().then_some(Self(numbers))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(out, "{major}.{minor}")?;
        if *patch == 0 {
            Ok(())
        } else {
            write!(out, ".{patch}")
        }
    }
}

/// A file while it is read.
struct Reader<'a, H: FileHeader<Endian = Endianness>> {
    bytes: &'a [u8],
    header: &'a H,
    endian: Endianness,
    segments: &'a [H::ProgramHeader],
}

/// What the dynamic section says, in addresses and offsets.
#[derive(Default)]
struct Dynamic {
    needed: Vec<u64>,
    soname: Option<u64>,
    search_path: Option<u64>,
    strings_address: Option<u64>,
    strings_bytes: Option<u64>,
    needs_address: Option<u64>,
    needs_count: u64,
    is_pie: bool,
}

impl<'a, H: FileHeader<Endian = Endianness>> Reader<'a, H> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let header = H::parse(bytes).ok()?;
        let endian = header.endian().ok()?;
        let segments = header.program_headers(endian, bytes).unwrap_or_default();
        Some(Self {
            bytes,
            header,
            endian,
            segments: segments.get(..MOST_SEGMENTS).unwrap_or(segments),
        })
    }

    fn read(&self, class: Class) -> Elf<'a> {
        let machine = match self.header.e_machine(self.endian) {
            elf::EM_AARCH64 => Machine::Aarch64,
            elf::EM_X86_64 => Machine::X86_64,
            other => Machine::Other(other.0),
        };
        let interpreter = self
            .segment(elf::PT_INTERP)
            .and_then(|segment| segment.interpreter(self.endian, self.bytes).ok().flatten())
            .filter(|name| name.len() <= LONGEST_NAME_BYTES);
        let dynamic = self.dynamic();
        let strings = dynamic
            .strings_address
            .and_then(|address| self.at(address))
            .unwrap_or_default();
        let strings = dynamic
            .strings_bytes
            .and_then(|bytes| strings.get(..usize::try_from(bytes).ok()?))
            .unwrap_or(strings);
        let soname = dynamic.soname.and_then(|place| string(strings, place));
        let kind = match self.header.e_type(self.endian) {
            elf::ET_EXEC => Kind::Executable,
            // A library can have an interpreter too, to be run (`libc.so.6`); then it has a name as well.
            elf::ET_DYN if dynamic.is_pie || interpreter.is_some() && soname.is_none() => {
                Kind::Executable
            }
            elf::ET_DYN => Kind::Shared,
            _ => Kind::Other,
        };
        Elf {
            class,
            machine,
            kind,
            interpreter,
            soname,
            needed: dynamic
                .needed
                .iter()
                .filter_map(|&place| string(strings, place))
                .collect(),
            search_path: dynamic.search_path.and_then(|place| string(strings, place)),
            version_needs: self.version_needs(&dynamic, strings),
            strings,
        }
    }

    fn segment(&self, kind: elf::ProgramType) -> Option<&'a H::ProgramHeader> {
        self.segments
            .iter()
            .find(|segment| segment.p_type(self.endian) == kind)
    }

    fn dynamic(&self) -> Dynamic {
        let mut found = Dynamic::default();
        let entries = self
            .segment(elf::PT_DYNAMIC)
            .and_then(|segment| segment.dynamic(self.endian, self.bytes).ok().flatten())
            .unwrap_or_default();
        for entry in entries.iter().take(MOST_DYNAMIC_ENTRIES) {
            let value = entry.val(self.endian);
            match entry.tag(self.endian) {
                elf::DT_NULL => break,
                elf::DT_NEEDED if found.needed.len() < MOST_NEEDS => found.needed.push(value),
                elf::DT_SONAME => found.soname = Some(value),
                elf::DT_RUNPATH => found.search_path = Some(value),
                // The older of the two, which the newer one overrides.
                elf::DT_RPATH => found.search_path = found.search_path.or(Some(value)),
                elf::DT_STRTAB => found.strings_address = Some(value),
                elf::DT_STRSZ => found.strings_bytes = Some(value),
                elf::DT_VERNEED => found.needs_address = Some(value),
                elf::DT_VERNEEDNUM => found.needs_count = value,
                elf::DT_FLAGS_1 => found.is_pie = value & elf::DF_1_PIE.0 != 0,
                _ => {}
            }
        }
        found
    }

    /// What is loaded at an address, from there to the end of its segment in the file.
    fn at(&self, address: u64) -> Option<&'a [u8]> {
        self.segments
            .iter()
            .filter(|segment| segment.p_type(self.endian) == elf::PT_LOAD)
            .find_map(|segment| {
                let skipped = address.checked_sub(segment.p_vaddr(self.endian).into())?;
                let left = Into::<u64>::into(segment.p_filesz(self.endian)).checked_sub(skipped)?;
                let start: u64 = segment.p_offset(self.endian).into();
                let start = usize::try_from(start.checked_add(skipped)?).ok()?;
                let rest = self.bytes.get(start..)?;
                Some(rest.get(..usize::try_from(left).ok()?).unwrap_or(rest))
            })
    }

    fn version_needs(&self, dynamic: &Dynamic, strings: &'a [u8]) -> Vec<VersionNeed<'a>> {
        let mut found = Vec::new();
        let mut libraries = dynamic.needs_address.and_then(|address| self.at(address));
        let mut left = MOST_NEEDS;
        for _ in 0..dynamic.needs_count.min(MOST_NEEDS as u64) {
            let Some((bytes, library)) = libraries.and_then(read::<elf::Verneed<Endianness>>)
            else {
                break;
            };
            let name = string(strings, library.vn_file.get(self.endian).into());
            let mut versions = rest(bytes, library.vn_aux.get(self.endian));
            for _ in 0..library.vn_cnt.get(self.endian) {
                let Some((bytes, record)) = versions.and_then(read::<elf::Vernaux<Endianness>>)
                else {
                    break;
                };
                left -= 1;
                if left == 0 {
                    return found;
                }
                let named = string(strings, record.vna_name.get(self.endian).into());
                if let (Some(library), Some(version)) = (name, named) {
                    let is_weak = record.vna_flags.get(self.endian).0 & elf::VER_FLG_WEAK.0 != 0;
                    found.push(VersionNeed {
                        library,
                        version,
                        is_weak,
                    });
                }
                versions = next(bytes, record.vna_next.get(self.endian));
            }
            libraries = next(bytes, library.vn_next.get(self.endian));
        }
        found
    }
}

/// A record at the beginning of some bytes, and those bytes.
fn read<T: Pod>(bytes: &[u8]) -> Option<(&[u8], &T)> {
    let (record, _) = pod::from_bytes(bytes).ok()?;
    Some((bytes, record))
}

fn rest(bytes: &[u8], offset: u32) -> Option<&[u8]> {
    bytes.get(usize::try_from(offset).ok()?..)
}

/// Where the next record of a chain stands; an offset of 0 ends it.
fn next(bytes: &[u8], offset: u32) -> Option<&[u8]> {
    (offset != 0).then(|| rest(bytes, offset)).flatten()
}

fn string(strings: &[u8], place: u64) -> Option<&[u8]> {
    let from = strings.get(usize::try_from(place).ok()?..)?;
    let within = from.get(..LONGEST_NAME_BYTES).unwrap_or(from);
    let end = within.iter().position(|&byte| byte == 0)?;
    within.get(..end).filter(|name| !name.is_empty())
}
