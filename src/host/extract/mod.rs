//! Roots out: a stage is filled beside the destination and renamed into place, or nothing changes.

pub mod build;
pub mod content;
pub mod destination;
pub mod extraction;
mod moves;
mod publish;
pub mod record;
pub mod stage;
pub mod stamp;
