//! Finds cells of all choices that fulfil some formulas, or that there are none.
//!
//! Formulas narrow the cells that are left of each choice until nothing changes. What is still open then is tried: one
//! member of the group with the fewest members after the other, back where that leads nowhere.

use super::{
    candidates::Loose,
    formula::{Formula, Literal},
    model::Model,
    steps::{Spent, Steps},
};

/// Guesses on guesses; beyond them a question counts as not decided.
const DEEPEST: usize = 400;
/// Words that are read through in one step.
const WORDS_READ: usize = 8;

/// The cells that are left of every choice.
pub(super) struct Search<'m, 'a> {
    model: &'m Model<'a>,
    whole: Vec<u64>,
    left: Vec<u64>,
    /// Words before they were changed, to go back.
    trail: Vec<(u32, u64)>,
}

/// What a formula comes to with the cells that are left.
enum Standing<'m> {
    Holds,
    Fails,
    /// It holds if, and only if, this member does.
    Only(&'m Formula),
    /// So many members may hold.
    Open(usize),
}

/// What narrowing came to.
#[derive(PartialEq, Eq)]
enum Narrowed {
    Empty,
    Same,
    Less,
}

impl<'m, 'a> Search<'m, 'a> {
    /// Starts with every cell, or with those that stand for a value of their own alone.
    pub(super) fn new(model: &'m Model<'a>, exact: bool) -> Self {
        let mut whole = vec![0; model.words];
        for choice in &model.choices {
            for (at, cell) in choice.cells.iter().enumerate() {
                if !exact || cell.loose == Loose::No {
                    whole[choice.begin + at / 64] |= 1 << (at % 64);
                }
            }
        }
        Self { model, left: whole.clone(), whole, trail: Vec::new() }
    }

    /// Returns a cell of each choice such that all goals hold, the plainest where it does not matter.
    pub(super) fn find(
        &mut self,
        goals: impl IntoIterator<Item = &'m Formula>,
        steps: &mut Steps,
    ) -> Result<Option<Vec<usize>>, Spent> {
        steps.take(1 + self.whole.len() / WORDS_READ)?;
        let found = self.settle(goals.into_iter().collect(), 0, steps);
        let cells = found.map(|found| found.then(|| self.plainest()).flatten());
        self.back_to(0);
        cells
    }

    /// Returns the first cell that is left of each choice; `None` if a choice has none to begin with.
    fn plainest(&self) -> Option<Vec<usize>> {
        let first = |choice: &super::model::Choice<'_>| {
            let words = &self.left[choice.begin..choice.begin + choice.words()];
            let (at, word) = words.iter().enumerate().find(|(_, word)| **word != 0)?;
            Some(at * 64 + word.trailing_zeros() as usize)
        };
        self.model.choices.iter().map(first).collect()
    }

    fn settle(&mut self, mut open: Vec<&'m Formula>, depth: usize, steps: &mut Steps) -> Result<bool, Spent> {
        loop {
            let mut changed = false;
            let mut rest = Vec::new();
            while let Some(formula) = open.pop() {
                match formula {
                    Formula::In(literal) => match self.narrow(*literal, false, &mut open, steps)? {
                        Narrowed::Empty => return Ok(false),
                        Narrowed::Same => {}
                        Narrowed::Less => changed = true,
                    },
                    Formula::All(members) => open.extend(members.iter()),
                    Formula::Any(_) => match self.standing(formula, steps)? {
                        Standing::Holds => {}
                        Standing::Fails => return Ok(false),
                        Standing::Only(member) => open.push(member),
                        Standing::Open(_) => rest.push(formula),
                    },
                }
            }
            if rest.is_empty() {
                return Ok(true);
            }
            open = rest;
            if !changed {
                return self.branch(open, depth + 1, steps);
            }
        }
    }

    /// Tries the members of the group with the fewest of them.
    fn branch(&mut self, mut open: Vec<&'m Formula>, depth: usize, steps: &mut Steps) -> Result<bool, Spent> {
        if depth > DEEPEST {
            return Err(Spent);
        }
        let mut fewest = (0, usize::MAX);
        for (at, formula) in open.iter().enumerate() {
            if let Standing::Open(count) = self.standing(formula, steps)?
                && count < fewest.1
            {
                fewest = (at, count);
            }
        }
        let group = open.swap_remove(fewest.0);
        let Formula::Any(members) = group else { return Ok(false) };
        for member in members.iter() {
            if matches!(self.standing(member, steps)?, Standing::Fails) {
                continue;
            }
            let mark = self.trail.len();
            steps.take(open.len())?;
            let mut with = open.clone();
            with.push(member);
            if self.settle(with, depth, steps)? {
                return Ok(true);
            }
            self.back_to(mark);
            // What was tried in vain need not be tried again with the next member.
            if let Formula::In(literal) = member
                && self.narrow(*literal, true, &mut open, steps)? == Narrowed::Empty
            {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Says what a formula comes to.
    fn standing(&self, formula: &'m Formula, steps: &mut Steps) -> Result<Standing<'m>, Spent> {
        match formula {
            Formula::In(literal) => {
                let choice = &self.model.choices[literal.choice as usize];
                steps.take(choice.words())?;
                let left = &self.left[choice.begin..choice.begin + choice.words()];
                let set = self.model.set(*literal);
                let (mut some, mut all) = (false, true);
                for (left, set) in left.iter().zip(set) {
                    some |= left & set != 0;
                    all &= left & !set == 0;
                }
                Ok(match (some, all) {
                    (false, _) => Standing::Fails,
                    (true, true) => Standing::Holds,
                    (true, false) => Standing::Open(1),
                })
            }
            Formula::All(members) => {
                let mut open = 0;
                for member in members.iter() {
                    match self.standing(member, steps)? {
                        Standing::Holds => {}
                        Standing::Fails => return Ok(Standing::Fails),
                        Standing::Only(_) | Standing::Open(_) => open += 1,
                    }
                }
                Ok(if open == 0 { Standing::Holds } else { Standing::Open(1) })
            }
            Formula::Any(members) => {
                let (mut open, mut last) = (0, None);
                for member in members.iter() {
                    match self.standing(member, steps)? {
                        Standing::Holds => return Ok(Standing::Holds),
                        Standing::Fails => {}
                        Standing::Only(_) | Standing::Open(_) => (open, last) = (open + 1, Some(member)),
                    }
                }
                Ok(match (open, last) {
                    (0, _) | (_, None) => Standing::Fails,
                    (1, Some(only)) => Standing::Only(only),
                    (open, Some(_)) => Standing::Open(open),
                })
            }
        }
    }

    /// Leaves a choice only the cells of a literal, or only the others. What then holds as a law is to be settled too.
    fn narrow(
        &mut self,
        literal: Literal,
        others: bool,
        open: &mut Vec<&'m Formula>,
        steps: &mut Steps,
    ) -> Result<Narrowed, Spent> {
        let model = self.model;
        let choice = &model.choices[literal.choice as usize];
        steps.take(choice.words())?;
        let place = choice.begin..choice.begin + choice.words();
        let untouched = self.left[place.clone()] == self.whole[place];
        let (mut some, mut changed) = (false, false);
        for (at, set) in (choice.begin..).zip(model.set(literal)) {
            let before = self.left[at];
            let after = before & if others { !set } else { *set };
            some |= after != 0;
            if after != before {
                changed = true;
                self.trail.push((at as u32, before));
                self.left[at] = after;
            }
        }
        if changed && untouched {
            open.extend(&model.laws[literal.choice as usize]);
        }
        Ok(match (some, changed) {
            (false, _) => Narrowed::Empty,
            (true, true) => Narrowed::Less,
            (true, false) => Narrowed::Same,
        })
    }

    fn back_to(&mut self, mark: usize) {
        while self.trail.len() > mark
            && let Some((at, before)) = self.trail.pop()
        {
            self.left[at as usize] = before;
        }
    }
}
