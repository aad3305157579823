//! Goes through all schedules, depth first: each run takes the steps of the one before up to the last
//! place where something else was possible.
//!
//! Of schedules that differ only in the order of steps that commute one is run. For that, what was tried
//! at a place sleeps in all that is tried after it there, until something happens that does not commute
//! with it (Godefroid's sleep sets). A run in which all that could happen sleeps is given up.

use super::board::Step;

/// A place of the run at hand.
struct Place {
    steps: Vec<Step>,
    at: usize,
    asleep: Vec<Step>,
}

impl Place {
    fn next_from(&self, from: usize) -> Option<usize> {
        (from..self.steps.len()).find(|&at| !self.asleep.iter().any(|s| s.is(&self.steps[at])))
    }
}

/// The search, between runs and in them.
#[derive(Default)]
pub struct Search {
    places: Vec<Place>,
    depth: usize,
}

impl Search {
    /// The step to take where those are possible; `None` when every one leads to a schedule that was
    /// run.
    pub fn choose(&mut self, steps: Vec<Step>) -> Option<Step> {
        if let Some(place) = self.places.get(self.depth) {
            let same = place.steps.len() == steps.len()
                && place.steps.iter().zip(&steps).all(|(a, b)| a.is(b));
            assert!(same, "a run went another way: {:#?} is not {steps:#?}", place.steps);
            self.depth += 1;
            return Some(steps[place.at].clone());
        }
        let asleep = match self.depth.checked_sub(1).map(|above| &self.places[above]) {
            Some(above) => {
                let taken = &above.steps[above.at];
                above.asleep.iter().filter(|step| step.commutes(taken)).cloned().collect()
            }
            None => Vec::new(),
        };
        let mut place = Place { steps, at: 0, asleep };
        place.at = place.next_from(0)?;
        let step = place.steps[place.at].clone();
        self.places.push(place);
        self.depth += 1;
        Some(step)
    }

    /// Ends a run; whether there is another.
    pub fn next(&mut self) -> bool {
        self.depth = 0;
        while let Some(place) = self.places.last_mut() {
            place.asleep.push(place.steps[place.at].clone());
            if let Some(at) = place.next_from(place.at + 1) {
                place.at = at;
                return true;
            }
            self.places.pop();
        }
        false
    }

    /// The steps of the run at hand, for people.
    pub fn trace(&self) -> String {
        let line = |place: &Place| {
            let Step { kind, request, .. } = &place.steps[place.at];
            match request {
                Some(id) => format!("  {kind:?} {:?} {} ({})\n", id.sender, id.name, id.nth),
                None => format!("  {kind:?}\n"),
            }
        };
        self.places.iter().map(line).collect()
    }
}
