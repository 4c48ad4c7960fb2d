//! The files that list the samples: tar files, Parquet files, lists of rows, folders.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::access::{Access, AccessError, Object, Stamp};
use crate::place::Place;

/// Files kept open. A source may have more shards than a process may have files.
const OPEN_FILES: usize = 64;

/// The files of a manifest, by number.
#[derive(Debug, Default)]
pub(crate) struct Files {
    list: Vec<ListedFile>,
    /// Those used last, first. Held for a look or an insertion, never while a file is opened.
    open: Mutex<VecDeque<(u32, Arc<Object>)>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct ListedFile {
    pub(crate) place: Place,
    /// Paths of samples start in it rather than beside it.
    pub(crate) is_folder: bool,
    /// When it was listed.
    pub(crate) stamp: Stamp,
    /// Its numbers are f16, to be read as f32.
    pub(crate) halves: bool,
}

impl Files {
    /// Takes a folder in, which has no content of its own.
    pub(crate) fn add_folder(&mut self, place: &Place) -> u32 {
        self.add(place, true, Stamp::default())
    }

    /// Takes an open file in, and keeps it open for a while.
    pub(crate) fn add_file(&mut self, object: &Arc<Object>) -> u32 {
        let number = self.add(object.place(), false, object.stamp().clone());
        self.keep(number, object);
        number
    }

    fn add(&mut self, place: &Place, is_folder: bool, stamp: Stamp) -> u32 {
        // The number of files is bounded where they are named, far below this.
        let number = self.list.len() as u32;
        self.list.push(ListedFile {
            place: place.clone(),
            is_folder,
            stamp,
            halves: false,
        });
        number
    }

    /// Notes that the numbers of the file are f16.
    pub(crate) fn mark_halves(&mut self, number: u32) {
        if let Some(file) = self.list.get_mut(number as usize) {
            file.halves = true;
        }
    }

    /// Whether any of them is not on this machine.
    pub(crate) fn any_remote(&self) -> bool {
        let mut places = self.list.iter().map(|file| &file.place);
        places.any(|place| matches!(place, Place::Remote(_)))
    }

    pub(crate) fn get(&self, number: u32) -> Option<&ListedFile> {
        self.list.get(number as usize)
    }

    /// The file, as it was when it was listed.
    pub(crate) fn open(&self, access: &Access, number: u32) -> Result<Arc<Object>, AccessError> {
        if let Some(object) = self.kept(number) {
            return Ok(object);
        }
        let listed = self.get(number).ok_or_else(|| AccessError::NotFound {
            place: format!("file {number}"),
        })?;
        let object = access.open(&listed.place)?;
        if *object.stamp() != listed.stamp {
            return Err(AccessError::Changed {
                place: listed.place.to_string(),
            });
        }
        self.keep(number, &object);
        Ok(object)
    }

    fn keep(&self, number: u32, object: &Arc<Object>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.truncate(OPEN_FILES - 1);
        open.push_front((number, Arc::clone(object)));
    }

    fn kept(&self, number: u32) -> Option<Arc<Object>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let place = open.iter().position(|(kept, _)| *kept == number)?;
        if place > 0 {
            let found = open.remove(place)?;
            open.push_front(found);
        }
        open.front().map(|(_, object)| Arc::clone(object))
    }
}

impl ListedFile {
    /// Where relative paths of its samples start.
    pub(crate) fn base(&self) -> Place {
        match self.is_folder {
            true => self.place.clone(),
            false => self.place.parent(),
        }
    }
}
