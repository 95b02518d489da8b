//! What a playback does at each border between frames.

/// Frames in a row that are concealed before it waits for new ones.
const MOST_CONCEALED: u32 = 5;

/// What becomes of the period that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// No frame is made.
    Nothing,
    /// The next frame is.
    Take,
    /// One that is missing is.
    Conceal,
}

/// An order, and how many frames that waited are late and thrown away before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) late: u32,
    pub(super) order: Order,
}

/// Keeps the latency constant: a frame that was concealed is not played when it comes after all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// Frames that must wait before it starts.
    buffer: u32,
    playing: bool,
    /// Frames concealed in a row.
    row: u32,
    /// Frames whose time has passed, and that have not come yet.
    owed: u32,
}

impl Schedule {
    pub(super) fn new(buffer: u32) -> Self {
        Self { buffer, playing: false, row: 0, owed: 0 }
    }

    pub(super) fn playing(&self) -> bool {
        self.playing
    }

    /// At a border: `waiting` frames are there, and `to_come` more borders will pass before more can come.
    pub(super) fn border(&mut self, waiting: u32, to_come: u32) -> Decision {
        if !self.playing {
            return self.start(waiting, self.buffer.saturating_add(to_come));
        }
        let late = self.owed.min(waiting);
        self.owed -= late;
        let order = if waiting > late {
            self.row = 0;
            Order::Take
        } else {
            self.pass();
            self.row += 1;
            self.playing = self.row <= MOST_CONCEALED;
            if self.playing { Order::Conceal } else { Order::Nothing }
        };
        Decision { late, order }
    }

    /// At a border where nothing can be ordered: its frame's time passes.
    pub(super) fn pass(&mut self) {
        self.owed = self.owed.saturating_add(1);
    }

    fn start(&mut self, waiting: u32, needed: u32) -> Decision {
        if waiting < needed {
            if self.owed > 0 {
                self.pass();
            }
            return Decision { late: 0, order: Order::Nothing };
        }
        // Those that came all at once after a gap; frames of a sender that paused are not owed.
        let late = self.owed.min(waiting - needed);
        *self = Self { playing: true, row: 0, owed: 0, ..*self };
        Decision { late, order: Order::Take }
    }
}

#[cfg(test)]
mod tests {
    use super::Order::{Conceal, Nothing, Take};
    use super::*;

    /// What it decides when so many frames have come before each border.
    fn decisions(buffer: u32, come: &[u32]) -> Vec<(u32, Order)> {
        let mut schedule = Schedule::new(buffer);
        let mut waiting = 0;
        let decide = |more: &u32| {
            waiting += more;
            let Decision { late, order } = schedule.border(waiting, 0);
            waiting -= late + u32::from(order == Take);
            (late, order)
        };
        come.iter().map(decide).collect()
    }

    #[test]
    fn it_starts_when_enough_wait() {
        assert_eq!(decisions(1, &[0, 1, 1]), [(0, Nothing), (0, Take), (0, Take)]);
        assert_eq!(
            decisions(3, &[1, 1, 0, 1, 0]),
            [(0, Nothing), (0, Nothing), (0, Nothing), (0, Take), (0, Take)]
        );
        // what was written ahead is played
        assert_eq!(decisions(1, &[3, 0, 0]), [(0, Take); 3]);
        let mut schedule = Schedule::new(1);
        assert_eq!(schedule.border(2, 2).order, Nothing);
        assert_eq!(schedule.border(2, 1).order, Take);
    }

    #[test]
    fn what_was_concealed_is_late() {
        assert_eq!(
            decisions(1, &[1, 0, 0, 1, 2, 1]),
            [(0, Take), (0, Conceal), (0, Conceal), (1, Conceal), (2, Conceal), (1, Conceal)]
        );
        assert_eq!(decisions(1, &[1, 0, 2, 1]), [(0, Take), (0, Conceal), (1, Take), (0, Take)]);
    }

    #[test]
    fn a_pause_is_not_late() {
        let mut come = vec![1];
        come.extend([0; 50]);
        come.extend([1, 1]);
        let found = decisions(1, &come);
        assert_eq!(found[1..6], [(0, Conceal); 5]);
        assert_eq!(found[6..51], [(0, Nothing); 45]);
        assert_eq!(found[51..], [(0, Take); 2]);
    }

    #[test]
    fn after_a_gap_only_the_newest_are_played() {
        assert_eq!(
            decisions(2, &[2, 1, 0, 0, 0, 0, 0, 0, 0, 8, 1])[7..],
            [(0, Conceal), (0, Nothing), (6, Take), (0, Take)]
        );
        // no more than the gap was long
        assert_eq!(decisions(1, &[1, 0, 0, 0, 0, 0, 0, 20])[6..], [(0, Nothing), (6, Take)]);
    }
}
