//! The executable specification: what stands in `tests/cases`, run at every level that there is.
//!
//! `tests/cases/README.md` says how the files are written.

mod coverage;
mod expect;
mod file;
mod gateway;
mod geography;
mod grpc;
mod languages;
mod refusals;
mod snapshot;
mod visit;

use file::Case;

/// Says at once everything that went wrong.
fn report(what: &str, run: usize, failures: &mut [String]) {
    failures.sort_unstable();
    assert!(run > 0, "there is nothing to run: {what}");
    assert!(failures.is_empty(), "{} of {run} {what} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_file_loads_and_its_objects_pass_their_checks() {
    let cases = file::load();
    let mut faulty = Vec::new();
    for case in &cases {
        let mut faults = case.shop.settings.check();
        for link in &case.shop.links {
            faults.extend(link.check(&case.shop.settings));
        }
        for partner in &case.shop.partners {
            faults.extend(partner.check());
        }
        faulty.extend((!faults.is_empty()).then(|| format!("{case}: {faults}")));
    }
    report("cases", cases.len(), &mut faulty);
}

#[test]
fn names_are_unique() {
    let mut names: Vec<String> = file::load().iter().map(Case::to_string).collect();
    names.sort_unstable();
    let mut twice: Vec<String> =
        names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone()).collect();
    report("cases", names.len(), &mut twice);
}
