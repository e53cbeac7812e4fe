//! What kinds of collisions there are, and how many of each.

use std::fmt;

/// How much a collision matters, from nothing to everything.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Same kind, mode and bytes, or same target.
    Identical,
    /// Only the mode differs.
    Mode,
    /// The bytes or the target differ.
    Content,
    /// The kinds differ, or a directory above was replaced.
    Type,
}

impl Class {
    /// All classes, the harmless one first.
    pub const ALL: [Self; 4] = [Self::Identical, Self::Mode, Self::Content, Self::Type];
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Identical => "identical",
            Self::Mode => "mode",
            Self::Content => "content",
            Self::Type => "type",
        })
    }
}

/// How many collisions there are of each class.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counts {
    /// Of class [`Class::Identical`].
    pub identical: usize,
    /// Of class [`Class::Mode`].
    pub mode: usize,
    /// Of class [`Class::Content`].
    pub content: usize,
    /// Of class [`Class::Type`].
    pub r#type: usize,
}

impl Counts {
    /// How many of one class.
    pub const fn of(&self, class: Class) -> usize {
        match class {
            Class::Identical => self.identical,
            Class::Mode => self.mode,
            Class::Content => self.content,
            Class::Type => self.r#type,
        }
    }

    pub(super) const fn of_mut(&mut self, class: Class) -> &mut usize {
        match class {
            Class::Identical => &mut self.identical,
            Class::Mode => &mut self.mode,
            Class::Content => &mut self.content,
            Class::Type => &mut self.r#type,
        }
    }

    /// How many matter: all but the identical ones.
    pub const fn that_matter(&self) -> usize {
        self.mode + self.content + self.r#type
    }
}
