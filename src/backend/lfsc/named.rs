//! A JSON object whose names are not known beforehand, as a list: a map is 5 KB of code for each type.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use miniserde::de::{Deserialize, Map, Visitor};
use miniserde::{Result, make_place};

/// Names with what they stand for, in the answer's order.
pub struct Named<T>(Vec<(String, T)>);

impl<T> Named<T> {
    /// What the name stands for.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }
}

make_place!(Place);

impl<T: Deserialize> Deserialize for Named<T> {
    fn begin(out: &mut Option<Self>) -> &mut dyn Visitor {
        Place::new(out)
    }
}

impl<T: Deserialize> Visitor for Place<Named<T>> {
    fn map(&mut self) -> Result<Box<dyn Map + '_>> {
        Ok(Box::new(Builder {
            out: &mut self.out,
            list: Vec::new(),
            name: String::new(),
            value: None,
        }))
    }
}

struct Builder<'a, T> {
    out: &'a mut Option<Named<T>>,
    list: Vec<(String, T)>,
    /// The name that was read last, and what it stands for once that is read.
    name: String,
    value: Option<T>,
}

impl<T> Builder<'_, T> {
    fn keep(&mut self) {
        if let Some(value) = self.value.take() {
            self.list.push((mem::take(&mut self.name), value));
        }
    }
}

impl<T: Deserialize> Map for Builder<'_, T> {
    fn key(&mut self, name: &str) -> Result<&mut dyn Visitor> {
        self.keep();
        self.name = name.to_owned();
        Ok(Deserialize::begin(&mut self.value))
    }

    fn finish(&mut self) -> Result<()> {
        self.keep();
        *self.out = Some(Named(mem::take(&mut self.list)));
        Ok(())
    }
}
