//! Chance that can be repeated: `splitmix64`. The same seed gives the same choices everywhere.

/// A sequence of choices.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.draw() % n
    }

    /// True in `percent` of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let n = self.below(u64::try_from(of.len()).unwrap());
        of[usize::try_from(n).unwrap()]
    }

    /// `n` of several, in the order in which they come out of the hat; all if there are fewer.
    pub fn sample<T>(&mut self, mut of: Vec<T>, n: usize) -> Vec<T> {
        let n = n.min(of.len());
        for place in 0..n {
            let left = u64::try_from(of.len() - place).unwrap();
            of.swap(place, place + usize::try_from(self.below(left)).unwrap());
        }
        of.truncate(n);
        of
    }
}

/// The seed in the variable `SEED`, by which a run is repeated.
pub fn seed_to_replay() -> Option<u64> {
    let text = std::env::var("SEED").ok()?;
    Some(text.parse().expect("SEED is a number"))
}
