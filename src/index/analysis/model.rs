//! A link as a puzzle: choices, each with cells that its rules tell apart, and what each test says of each cell.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{
    candidates::{self, Candidate, Frame, Loose},
    collect::tests_by_subject,
    formula::{Bound, Formula, Literal},
    sample::{SampleVisit, Value},
    steps::Steps,
    subject::{Question, Subject, Test},
};
use crate::{
    domain::{
        client::{Browser, Os, TrafficClass},
        condition::{Condition, Predicate},
        fact::Fact,
        language::LanguageRange,
        link::Routing,
        name::PartnerCode,
        shop::ShopSettings,
    },
    index::matcher::{Truth, evaluate},
};

/// Values of a cell that are told by name.
const TOLD: usize = 5;
/// Shares of the steps that one subject may use to find its cells.
const SHARES: u64 = 8;
/// What it costs to ask the evaluator once, in the steps of a search.
const ANSWER_STEPS: usize = 4;

/// What a rule set looks at.
#[derive(Debug)]
pub(super) struct Model<'a> {
    pub(super) choices: Vec<Choice<'a>>,
    answers: HashMap<Test<'a>, Vec<Part>>,
    /// Sets of cells, one after the other.
    sets: Vec<u64>,
    /// What holds whenever the choice at its place is not left as it is.
    pub(super) laws: Vec<Vec<Formula>>,
    /// How many words the cells of all choices fill.
    pub(super) words: usize,
}

/// One thing that differs between visits.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    pub(super) subject: Subject<'a>,
    /// The plainest first, loose ones last.
    pub(super) cells: Vec<Cell>,
    /// Where its cells begin among those of all choices.
    pub(super) begin: usize,
}

/// Values that all tests answer alike.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) value: Value,
    pub(super) loose: Loose,
    /// The first few values, as people read them.
    pub(super) told: Vec<Fact<String>>,
    /// How many values there are in all.
    pub(super) count: usize,
}

/// What a test says of the cells of one choice.
#[derive(Clone, Copy, Debug)]
struct Part {
    choice: u32,
    /// The set of the cells for which each bound holds.
    sets: [u32; 4],
}

/// Which answers are possible: a bit for each.
type Answers = u8;
const FALSE: Answers = 1;
const UNKNOWN: Answers = 2;
const TRUE: Answers = 4;
const ANY: Answers = FALSE | UNKNOWN | TRUE;

impl Bound {
    /// Returns the answers within the bound.
    fn answers(self) -> Answers {
        match self {
            Self::True => TRUE,
            Self::NotFalse => TRUE | UNKNOWN,
            Self::NotTrue => FALSE | UNKNOWN,
            Self::False => FALSE,
        }
    }
}

/// What candidates are answered with.
struct Asker<'a> {
    shop: &'a ShopSettings,
    languages: &'a [LanguageRange],
    now: Timestamp,
    /// A visit of which everything is known that tests on two subjects ask for first.
    base: SampleVisit,
}

impl Choice<'_> {
    pub(super) fn words(&self) -> usize {
        self.cells.len().div_ceil(64)
    }
}

impl<'a> Model<'a> {
    /// Makes a model of the enabled rules.
    pub(super) fn new(
        routing: &'a Routing,
        shop: &'a ShopSettings,
        languages: &'a [LanguageRange],
        now: Timestamp,
        steps: &mut Steps,
    ) -> Self {
        let (start, expire) = (routing.start_time, routing.expire_time);
        let internal = &shop.internal_addresses[..];
        let frame = Frame { start, expire, now, languages, internal };
        let base = SampleVisit::at(now)
            .with(&Value::Os(Fact::Known(Os::Other)))
            .with(&Value::Browser(Fact::Known(Browser::Other)))
            .with(&Value::Partner(PartnerCode::parse("any-other").ok()));
        let asker = Asker { shop, languages, now, base };
        let mut model = Self {
            choices: Vec::new(),
            answers: HashMap::new(),
            sets: Vec::new(),
            laws: Vec::new(),
            words: 0,
        };
        let share = steps.left() / SHARES;
        for (subject, tests) in tests_by_subject(routing, !internal.is_empty()) {
            steps.lend(share, |steps| {
                let choices = candidates::choices(subject, &tests, frame, steps);
                model.add(subject, &tests, choices, &asker, steps);
            });
        }
        model.add_laws();
        model
    }

    /// Adds the choices of a subject.
    fn add(
        &mut self,
        subject: Subject<'a>,
        tests: &[Test<'a>],
        choices: Vec<Vec<Candidate>>,
        asker: &Asker<'_>,
        steps: &mut Steps,
    ) {
        let questions: Vec<Question> = tests.iter().map(|test| test.question()).collect();
        let is_set = choices.len() > 1;
        let mut seen = Vec::new();
        for candidates in choices {
            let mut rows: Vec<(Vec<Answers>, Cell)> = Vec::new();
            let mut at: HashMap<(Vec<Answers>, Loose), usize> = HashMap::new();
            let mut is_cut = false;
            for candidate in candidates {
                if is_cut || steps.take(ANSWER_STEPS * (tests.len() + 1)).is_err() {
                    is_cut = true;
                    // What is not looked at any more may be anything.
                    let rest = Candidate { loose: Loose::All, ..candidate };
                    rows.push((vec![ANY; tests.len()], Cell::of(&rest)));
                    break;
                }
                let row = asker.answers(&questions, &candidate);
                let place = *at.entry((row.clone(), candidate.loose)).or_insert(rows.len());
                match rows.get_mut(place) {
                    Some((_, cell)) => cell.join(&candidate.value),
                    None => rows.push((row, Cell::of(&candidate))),
                }
            }
            // Two values of a set that no test tells apart are one choice.
            let last = rows.last().map(|(row, _)| row.clone()).unwrap_or_default();
            if is_set && seen.contains(&last) {
                continue;
            }
            seen.push(last);
            self.push(subject, tests, rows);
            if is_set && is_cut {
                break;
            }
        }
    }

    fn push(&mut self, subject: Subject<'a>, tests: &[Test<'a>], mut rows: Vec<(Vec<Answers>, Cell)>) {
        let passed = |row: &[Answers]| {
            tests.iter().zip(row).filter(|(test, answer)| test.compares() && **answer & TRUE != 0).count()
        };
        // Nobody is credited unless something asks for it: the visits by way of nobody go with that.
        let is_second = |cell: &Cell| subject == Subject::PartnerTotalVisits && !cell.value.is_missing();
        rows.sort_by_key(|(row, cell)| (cell.loose != Loose::No, is_second(cell), passed(row)));
        let choice = self.choices.len() as u32;
        for (at, test) in tests.iter().enumerate() {
            let sets = Bound::ALL.map(|bound| {
                let within = rows.iter().map(|(row, _)| row[at] & bound.answers() != 0);
                self.add_set(within)
            });
            self.answers.entry(*test).or_default().push(Part { choice, sets });
        }
        let cells: Vec<Cell> = rows.into_iter().map(|(_, cell)| cell).collect();
        let choice = Choice { subject, cells, begin: self.words };
        self.words += choice.words();
        self.choices.push(choice);
        self.laws.push(Vec::new());
    }

    /// Adds a set of cells; says where it is.
    fn add_set(&mut self, cells: impl Iterator<Item = bool>) -> u32 {
        let begin = self.sets.len();
        for (at, is_in) in cells.enumerate() {
            if at % 64 == 0 {
                self.sets.push(0);
            }
            if is_in && let Some(word) = self.sets.last_mut() {
                *word |= 1 << (at % 64);
            }
        }
        begin as u32
    }

    /// Adds what no visit can break. What is left as it is obeys: the first cell of a choice that a law is filed under is
    /// one that the law has nothing against.
    fn add_laws(&mut self) {
        // Who sends no headers says no language.
        self.add_law(Test::Missing(Subject::ReferrerHost), Test::Missing(Subject::Language), Bound::True);
        // Without a partner there is no program and no tag.
        for test in [Subject::Program, Subject::PartnerTags].map(Test::Missing) {
            self.add_law_against(test, Test::Missing(Subject::Partner));
        }
        // Visits are counted by way of a partner where there is one, and only there.
        let [partner, total] = [Subject::Partner, Subject::PartnerTotalVisits].map(Test::Missing);
        for (test, other) in [(partner, total), (total, partner)] {
            self.add_law(test, other, Bound::True);
            self.add_law_against(test, other);
        }
        // Who comes from an address of the shop's own people is one of them.
        let [address, traffic] = [Subject::ClientAddress, Subject::Traffic].map(Test::Internal);
        self.add_law(address, traffic, Bound::True);
    }

    /// Adds: where the one test is true, the other is within a bound.
    fn add_law(&mut self, test: Test<'a>, other: Test<'a>, bound: Bound) {
        let (Some(parts), true) = (self.answers.get(&test), self.answers.contains_key(&other)) else {
            return;
        };
        for part in parts.clone() {
            let then = self.ask(other, bound);
            let law = Formula::any(vec![part.literal(Bound::NotTrue), then]);
            self.laws[part.choice as usize].push(law);
        }
    }

    /// Adds: where the one test is not true, neither is the other.
    fn add_law_against(&mut self, test: Test<'a>, other: Test<'a>) {
        let (Some(parts), true) = (self.answers.get(&test), self.answers.contains_key(&other)) else {
            return;
        };
        for part in parts.clone() {
            let then = self.ask(other, Bound::NotTrue);
            let law = Formula::any(vec![part.literal(Bound::True), then]);
            self.laws[part.choice as usize].push(law);
        }
    }

    /// Returns when a test is within a bound: of a set, if the greatest answer of its values is.
    pub(super) fn ask(&self, test: Test<'a>, bound: Bound) -> Formula {
        let parts = self.answers.get(&test).map_or(&[][..], Vec::as_slice);
        let literals = parts.iter().map(|part| part.literal(bound)).collect();
        match bound {
            Bound::True | Bound::NotFalse => Formula::any(literals),
            Bound::NotTrue | Bound::False => Formula::all(literals),
        }
    }

    /// Returns the choices that a test looks at.
    pub(super) fn choices_of(&self, test: Test<'a>) -> impl ExactSizeIterator<Item = u32> {
        self.answers.get(&test).map_or(&[][..], Vec::as_slice).iter().map(|part| part.choice)
    }

    /// Returns whether some cells stand for more than their values.
    pub(super) fn has_loose(&self) -> bool {
        self.choices.iter().flat_map(|choice| &choice.cells).any(|cell| cell.loose != Loose::No)
    }

    /// Returns the cells of a literal.
    pub(super) fn set(&self, literal: Literal) -> &[u64] {
        let begin = literal.set as usize;
        &self.sets[begin..begin + self.choices[literal.choice as usize].words()]
    }

    /// Returns when a choice falls on one of some cells.
    pub(super) fn cells(&mut self, choice: usize, is_in: impl Fn(usize) -> bool) -> Formula {
        let count = self.choices[choice].cells.len();
        let set = self.add_set((0..count).map(is_in));
        Formula::In(Literal { choice: choice as u32, set })
    }
}

impl Part {
    fn literal(&self, bound: Bound) -> Formula {
        Formula::In(Literal { choice: self.choice, set: self.sets[bound as usize] })
    }
}

impl Cell {
    fn of(candidate: &Candidate) -> Self {
        let value = candidate.value.clone();
        Self { told: vec![value.fact().value], loose: candidate.loose, count: 1, value }
    }

    fn join(&mut self, value: &Value) {
        self.count += 1;
        if self.told.len() < TOLD {
            self.told.push(value.fact().value);
        }
    }
}

impl Asker<'_> {
    /// Returns what the tests say of a candidate, as the evaluator does.
    fn answers(&self, questions: &[Question], candidate: &Candidate) -> Vec<Answers> {
        let value = &candidate.value;
        let sample = self.base.clone().with(value);
        sample.ask(questions, self.languages, self.shop, |questions, facts| {
            let answer = |question| match candidate.loose {
                Loose::All => ANY,
                Loose::Hours if is_weekly(question) => FALSE | TRUE,
                Loose::Hours | Loose::No => match question {
                    Question::Condition(condition) => evaluate(condition, facts).into(),
                    Question::Version(range) => {
                        value.version().map_or(UNKNOWN, |it| either(range.contains(it)))
                    }
                    Question::IsMissing => either(value.is_missing()),
                    Question::IsInternal => either(facts.traffic == TrafficClass::Internal),
                    Question::HasNotPassed => either(facts.visit.time >= self.now),
                },
            };
            questions.iter().map(answer).collect()
        })
    }
}

impl From<Truth> for Answers {
    fn from(truth: Truth) -> Self {
        match truth {
            Truth::True => TRUE,
            Truth::False => FALSE,
            Truth::Unknown => UNKNOWN,
        }
    }
}

fn either(holds: bool) -> Answers {
    if holds { TRUE } else { FALSE }
}

fn is_weekly(question: &Question) -> bool {
    matches!(question, Question::Condition(Condition::Is(Predicate::Weekly(_))))
}
