//! Versions: published once, found by number, deleted by a mark.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path as Key;

use super::blobs::Archive;
use super::error::StoreError;
use super::open::{REMEMBERED, Store, new_uuid, now, numbered};
use super::shapes::{DeletedShape, VersionShape, from_bytes, to_bytes};
use crate::registry::request::{Listing, Publish};
use crate::registry::version::{Filter, Marker, VersionState};
use crate::registry::{Account, LayerArn, LayerName, LayerVersion, Region, VersionArn};

/// Objects that are asked for at once, where asking takes its time.
pub(super) const AT_ONCE: usize = 16;
/// How often an object is asked for that was said to be there and is not: a store that is about to decide who created it.
const UNDECIDED_TRIES: usize = 100;

/// A part of a listing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page {
    /// What it shows.
    pub items: Vec<Arc<LayerVersion>>,
    /// Where the next one begins, while more remain.
    pub next: Option<Marker>,
}

impl Page {
    /// The first `count` of the items; `place` is how a marker names one.
    fn new(
        mut items: Vec<Arc<LayerVersion>>,
        count: usize,
        place: impl Fn(&LayerVersion) -> String,
    ) -> Self {
        let has_more = items.len() > count;
        items.truncate(count);
        let last = items.last().filter(|_| has_more);
        Self {
            next: last.map(|last| Marker(place(last))),
            items,
        }
    }
}

pub(super) fn folder_of(layer: &LayerArn) -> Key {
    layers_of(&layer.account, &layer.region).join(layer.name.as_str())
}

fn layers_of(account: &Account, region: &Region) -> Key {
    Key::from("layers")
        .join(region.as_str())
        .join(account.as_str())
}

impl Store {
    /// Publishes a version under the next number. The archive is there before the version is, so whoever finds the version finds
    /// all of it.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn publish(
        &self,
        publish: &Publish,
        archive: &Archive,
    ) -> Result<LayerVersion, StoreError> {
        self.keep(archive).await?;
        let folder = folder_of(&publish.layer).join("versions");
        let publication = new_uuid()?;
        let mut number = self.highest(&folder).await? + 1;
        let mut undecided = 0;
        loop {
            let key = numbered(&folder, number);
            let version = LayerVersion {
                arn: VersionArn {
                    layer: publish.layer.clone(),
                    version: i64::try_from(number).unwrap_or(i64::MAX),
                },
                description: publish.description.clone(),
                license_info: publish.license_info.clone(),
                compatible_runtimes: publish.compatible_runtimes.clone(),
                compatible_architectures: publish.compatible_architectures.clone(),
                created: now(),
                code_sha256: archive.digest,
                code_size: archive.bytes,
            };
            let shape = VersionShape::new(&version, &publication);
            let is_ours = if self.create(&key, to_bytes(&shape)).await? {
                true
            } else {
                // Somebody else's, or ours, where the answer to a request that was sent twice was lost.
                match self.read(&key).await? {
                    Some(bytes) => from_bytes::<VersionShape>(&bytes)
                        .is_some_and(|shape| shape.publication == publication),
                    None if undecided < UNDECIDED_TRIES => {
                        undecided += 1;
                        continue;
                    }
                    // Going on would leave a gap, behind which nobody looks.
                    None => {
                        return Err(StoreError::Undecided {
                            key: key.to_string(),
                        });
                    }
                }
            };
            self.remember_highest(&folder, number);
            if is_ours {
                // What collects garbage may have looked before the version was there.
                self.keep(archive).await?;
                return Ok(version);
            }
            number += 1;
        }
    }

    /// Looks for a version.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn find(&self, arn: &VersionArn) -> Result<VersionState, StoreError> {
        let folder = folder_of(&arn.layer);
        let Some(number) = u64::try_from(arn.version).ok().filter(|&number| number > 0) else {
            return Ok(VersionState::Absent);
        };
        let Some(version) = self.version(&folder, number).await? else {
            return Ok(VersionState::Absent);
        };
        if self.is_deleted(&folder, number).await? {
            return Ok(VersionState::Deleted);
        }
        Ok(VersionState::Present(Box::new(LayerVersion::clone(
            &version,
        ))))
    }

    /// The newest version of a layer that is there.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn newest(&self, layer: &LayerArn) -> Result<Option<Arc<LayerVersion>>, StoreError> {
        self.newest_matching(folder_of(layer), &Filter::default())
            .await
    }

    /// Marks a version as deleted; whether there was anything to delete.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn delete(&self, arn: &VersionArn) -> Result<bool, StoreError> {
        let folder = folder_of(&arn.layer);
        let Some(number) = u64::try_from(arn.version).ok().filter(|&number| number > 0) else {
            return Ok(false);
        };
        if self.version(&folder, number).await?.is_none() {
            return Ok(false);
        }
        let shape = DeletedShape { deleted: now() };
        self.create(&numbered(&folder.join("deleted"), number), to_bytes(&shape))
            .await
    }

    /// The layers of an account in a region, by name, each with its newest version that matches.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn layers(
        &self,
        account: &Account,
        region: &Region,
        listing: &Listing,
    ) -> Result<Page, StoreError> {
        let root = layers_of(account, region);
        let mut names = self.folders(&root).await?;
        names.retain(|name| {
            let is_later = listing.after.as_ref().is_none_or(|after| name > after);
            is_later && name.parse::<LayerName>().is_ok()
        });
        names.sort_unstable();
        let items = stream::iter(names)
            .map(|name| self.newest_matching(root.clone().join(name), &listing.filter))
            .buffered(self.at_once())
            .try_filter_map(|found| std::future::ready(Ok(found)))
            .take(listing.items + 1)
            .try_collect()
            .await?;
        Ok(Page::new(items, listing.items, |last| {
            last.arn.layer.name.as_str().to_owned()
        }))
    }

    /// The versions of a layer, the newest first. A layer that nobody has made has none.
    ///
    /// # Errors
    ///
    /// What the store answers, or, inside, `None` for a marker that is none of this listing.
    pub async fn versions(
        &self,
        layer: &LayerArn,
        listing: &Listing,
    ) -> Result<Option<Page>, StoreError> {
        let folder = folder_of(layer);
        let highest = self.highest(&folder.clone().join("versions")).await?;
        let highest = match &listing.after {
            None => highest,
            Some(last) => match last.parse::<u64>() {
                // Anybody can write a marker of any number.
                Ok(last) if last > 0 => highest.min(last - 1),
                _ => return Ok(None),
            },
        };
        let deleted = self.deleted(&folder).await?;
        let items = self
            .numbered_versions(&folder, highest, &deleted, &listing.filter)
            .take(listing.items + 1)
            .try_collect()
            .await?;
        Ok(Some(Page::new(items, listing.items, |last| {
            last.arn.version.to_string()
        })))
    }

    /// The names of the folders in a folder.
    async fn folders(&self, folder: &Key) -> Result<Vec<String>, StoreError> {
        if let Some(Ok(names)) = self.local.as_ref().map(|local| local.folders(folder)) {
            return Ok(names);
        }
        let listed = self.objects.list_with_delimiter(Some(folder)).await;
        let listed = listed.map_err(StoreError::object("list", folder))?;
        let names = listed.common_prefixes.iter().filter_map(Key::filename);
        Ok(names.map(str::to_owned).collect())
    }

    async fn newest_matching(
        &self,
        folder: Key,
        filter: &Filter,
    ) -> Result<Option<Arc<LayerVersion>>, StoreError> {
        let highest = self.highest(&folder.clone().join("versions")).await?;
        let Some(newest) = self.version(&folder, highest).await? else {
            return Ok(None);
        };
        if !self.is_deleted(&folder, highest).await? && filter.matches(&newest) {
            return Ok(Some(newest));
        }
        let deleted = self.deleted(&folder).await?;
        let matching = self.numbered_versions(&folder, highest - 1, &deleted, filter);
        std::pin::pin!(matching).try_next().await
    }

    /// The versions up to a number that are not deleted and match, the newest first.
    fn numbered_versions<'s>(
        &'s self,
        folder: &'s Key,
        highest: u64,
        deleted: &'s HashSet<u64>,
        filter: &'s Filter,
    ) -> impl Stream<Item = Result<Arc<LayerVersion>, StoreError>> + 's {
        stream::iter((1..=highest).rev())
            .filter(|number| std::future::ready(!deleted.contains(number)))
            .map(|number| self.version(folder, number))
            .buffered(self.at_once())
            .try_filter_map(|found| {
                std::future::ready(Ok(found.filter(|version| filter.matches(version))))
            })
    }

    /// How many objects are asked for before it is known how many are wanted.
    const fn at_once(&self) -> usize {
        if self.local.is_some() { 1 } else { AT_ONCE }
    }

    /// A version as it was published, deleted or not.
    async fn version(
        &self,
        folder: &Key,
        number: u64,
    ) -> Result<Option<Arc<LayerVersion>>, StoreError> {
        if number == 0 {
            return Ok(None);
        }
        let key = numbered(&folder.clone().join("versions"), number);
        if let Some(version) = self.known(|known| known.versions.get(key.as_ref()).cloned()) {
            return Ok(Some(version));
        }
        let Some(bytes) = self.read(&key).await? else {
            return Ok(None);
        };
        let version = from_bytes::<VersionShape>(&bytes).and_then(VersionShape::into_version);
        let version = Arc::new(version.ok_or_else(|| StoreError::Damaged {
            key: key.to_string(),
        })?);
        self.known(|known| {
            if known.versions.len() >= REMEMBERED {
                known.versions.clear();
            }
            known.versions.insert(key.to_string(), Arc::clone(&version));
        });
        Ok(Some(version))
    }

    async fn is_deleted(&self, folder: &Key, number: u64) -> Result<bool, StoreError> {
        let key = numbered(&folder.clone().join("deleted"), number);
        if self.known(|known| known.deleted.contains(key.as_ref())) {
            return Ok(true);
        }
        let is_deleted = self.exists(&key).await?;
        if is_deleted {
            self.known(|known| {
                if known.deleted.len() >= REMEMBERED {
                    known.deleted.clear();
                }
                known.deleted.insert(key.to_string());
            });
        }
        Ok(is_deleted)
    }

    /// The numbers of all versions of a layer that are deleted.
    async fn deleted(&self, folder: &Key) -> Result<HashSet<u64>, StoreError> {
        let folder = folder.clone().join("deleted");
        if let Some(Ok(names)) = self.local.as_ref().map(|local| local.objects(&folder)) {
            return Ok(names.iter().filter_map(|name| name.parse().ok()).collect());
        }
        let marks = self.objects.list(Some(&folder));
        marks
            .try_filter_map(|mark| {
                let number: Option<u64> =
                    mark.location.filename().and_then(|name| name.parse().ok());
                std::future::ready(Ok(number))
            })
            .try_collect()
            .await
            .map_err(StoreError::object("list", &folder))
    }

    /// Since when a version is deleted, in milliseconds since 1970.
    pub(super) async fn deleted_since(&self, key: &Key) -> Result<Option<i64>, StoreError> {
        let bytes = self.read(key).await?;
        Ok(bytes
            .and_then(|bytes| from_bytes::<DeletedShape>(&bytes))
            .map(|shape| shape.deleted))
    }

    /// The version that an object describes.
    pub(super) async fn described(&self, key: &Key) -> Result<Option<LayerVersion>, StoreError> {
        let bytes = self.read(key).await?;
        Ok(bytes
            .and_then(|bytes| from_bytes::<VersionShape>(&bytes))
            .and_then(VersionShape::into_version))
    }
}
