//! What a runtime's image brings that code in a layer is built against: the C and C++ libraries, and the version that each
//! language writes into what it compiles.
//!
//! Amazon Linux: AWS's pages "Comparing AL2 and AL2023" (glibc 2.26 and 2.34, GCC 7.3 and 11) and "Amazon Linux AMI 2018.03
//! release notes" (glibc 2.17, GCC 7.2 for its libraries). Which versions of symbols a GCC brings: its libstdc++ manual, "ABI
//! Policy and Guidelines". The languages: each value names its source.

use crate::elf::Version;
use crate::runtime::{Family, OperatingSystem, Runtime};

/// A family of versioned symbols, and the newest of them that a system has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SymbolLimit {
    /// What stands before the number: `GLIBC` of `GLIBC_2.34`.
    pub family: &'static str,
    /// The library that brings them, by its SONAME; `None` for glibc, which has many.
    pub library: Option<&'static str>,
    /// The newest that the system has.
    pub newest: Version,
}

const fn limits(
    glibc: Version,
    libstdcxx: u16,
    cxxabi: u16,
    libgcc: u16,
) -> [SymbolLimit; SYMBOL_FAMILIES.len()] {
    [
        SymbolLimit {
            family: SYMBOL_FAMILIES[0],
            library: None,
            newest: glibc,
        },
        SymbolLimit {
            family: SYMBOL_FAMILIES[1],
            library: Some("libstdc++.so.6"),
            newest: Version([3, 4, libstdcxx]),
        },
        SymbolLimit {
            family: SYMBOL_FAMILIES[2],
            library: Some("libstdc++.so.6"),
            newest: Version([1, 3, cxxabi]),
        },
        SymbolLimit {
            family: SYMBOL_FAMILIES[3],
            library: Some("libgcc_s.so.1"),
            newest: Version::new(libgcc, 0),
        },
    ]
}

/// The families of symbols whose versions tell how new a system has to be.
pub const SYMBOL_FAMILIES: [&str; 4] = ["GLIBC", "GLIBCXX", "CXXABI", "GCC"];

const AMAZON_LINUX_1: [SymbolLimit; 4] = limits(Version::new(2, 17), 24, 11, 7);
const AMAZON_LINUX_2: [SymbolLimit; 4] = limits(Version::new(2, 26), 24, 11, 7);
const AMAZON_LINUX_2023: [SymbolLimit; 4] = limits(Version::new(2, 34), 29, 13, 11);

impl OperatingSystem {
    /// The newest versions of symbols that its system libraries have.
    pub const fn symbol_limits(self) -> &'static [SymbolLimit; SYMBOL_FAMILIES.len()] {
        match self {
            Self::AmazonLinux1 => &AMAZON_LINUX_1,
            Self::AmazonLinux2 => &AMAZON_LINUX_2,
            Self::AmazonLinux2023 => &AMAZON_LINUX_2023,
        }
    }
}

/// `NODE_MODULE_VERSION` of each Node.js that is a runtime (`doc/abi_version_registry.json` of nodejs/node, October 2026).
const NODE_MODULE_VERSIONS: [(&str, u16); 9] = [
    ("10", 64),
    ("12", 72),
    ("14", 83),
    ("16", 93),
    ("18", 108),
    ("20", 115),
    ("22", 127),
    ("24", 137),
    ("26", 147),
];

/// The first magic number of a minor version of Python 3, and the one of its releases; alphas and betas have those between
/// (`Lib/importlib/_bootstrap_external.py`, since 3.14 `Include/internal/pycore_magic_number.h`).
const PYTHON_MAGIC_NUMBERS: [(u16, u16, Option<u16>); 10] = [
    (6, 3360, Some(3379)),
    (7, 3390, Some(3394)),
    (8, 3400, Some(3413)),
    (9, 3420, Some(3425)),
    (10, 3430, Some(3439)),
    (11, 3450, Some(3495)),
    (12, 3500, Some(3531)),
    (13, 3550, Some(3571)),
    (14, 3600, Some(3627)),
    // Not released: its number may still change.
    (15, 3650, None),
];
/// Where the numbers of Python 3.16 begin.
const UNKNOWN_MAGIC_NUMBER: u16 = 3700;

/// The minor version of Python 3 whose bytecode has this magic number.
pub fn python_minor_of_magic(magic: u16) -> Option<u16> {
    let after = magic < UNKNOWN_MAGIC_NUMBER;
    PYTHON_MAGIC_NUMBERS
        .iter()
        .rev()
        .find(|(_, first, _)| after && *first <= magic)
        .map(|(minor, ..)| *minor)
}

impl Runtime {
    /// The newest class file that its Java loads (*Java Virtual Machine Specification*, table 4.1-A: 52 is Java 8).
    pub fn class_file_major(&self) -> Option<u16> {
        let version: u16 = self.version_of(Family::Java)?.parse().ok()?;
        Some(44 + version)
    }

    /// `NODE_MODULE_VERSION`, which an addon for another Node.js does not share.
    pub fn node_module_version(&self) -> Option<u16> {
        let version = self.version_of(Family::Node)?;
        NODE_MODULE_VERSIONS
            .iter()
            .find(|(major, _)| *major == version)
            .map(|(_, modules)| *modules)
    }

    /// Its minor version of Python 3.
    pub fn python_minor(&self) -> Option<u16> {
        self.version_of(Family::Python)?
            .strip_prefix("3.")?
            .parse()
            .ok()
    }

    /// The magic number of the bytecode that its Python loads; `None` as well while that Python is a preview.
    pub fn python_magic(&self) -> Option<u16> {
        let minor = self.python_minor()?;
        PYTHON_MAGIC_NUMBERS
            .iter()
            .find(|(of, ..)| *of == minor)
            .and_then(|(_, _, released)| *released)
    }

    /// The version that folders of gems have: that of Ruby with a 0 for the patch (`RbConfig::CONFIG["ruby_version"]`).
    pub fn ruby_api(&self) -> Option<String> {
        Some(format!("{}.0", self.version_of(Family::Ruby)?))
    }

    fn version_of(&self, family: Family) -> Option<&'static str> {
        (self.family == family).then_some(self.version)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_runtime_of_a_language_has_its_values() {
        for runtime in Runtime::all() {
            let is = |family| runtime.family == family;
            assert_eq!(
                runtime.class_file_major().is_some(),
                is(Family::Java),
                "{runtime}"
            );
            assert_eq!(
                runtime.node_module_version().is_some(),
                is(Family::Node),
                "{runtime}"
            );
            assert_eq!(runtime.ruby_api().is_some(), is(Family::Ruby), "{runtime}");
            let has_minor = is(Family::Python) && runtime.version != "2.7";
            assert_eq!(runtime.python_minor().is_some(), has_minor, "{runtime}");
            if let Some(magic) = runtime.python_magic() {
                assert_eq!(python_minor_of_magic(magic), runtime.python_minor());
            }
        }
        let runtime = Runtime::find("java17.al2023").unwrap();
        assert_eq!(runtime.class_file_major(), Some(61));
        assert_eq!(
            Runtime::find("ruby3.4").unwrap().ruby_api().as_deref(),
            Some("3.4.0")
        );
    }

    #[test]
    fn a_magic_number_belongs_to_one_python() {
        for (magic, minor) in [
            (3359, None),
            (3360, Some(6)),
            (3389, Some(6)),
            (3495, Some(11)),
            (3660, Some(15)),
            (3700, None),
            // Python 2.7.
            (62211, None),
        ] {
            assert_eq!(python_minor_of_magic(magic), minor, "{magic}");
        }
    }

    #[test]
    fn a_newer_system_has_newer_libraries() {
        let [first, second, third] = [
            OperatingSystem::AmazonLinux1,
            OperatingSystem::AmazonLinux2,
            OperatingSystem::AmazonLinux2023,
        ]
        .map(OperatingSystem::symbol_limits);
        for ((one, two), three) in first.iter().zip(second).zip(third) {
            assert!(one.newest <= two.newest && two.newest < three.newest);
        }
    }
}
