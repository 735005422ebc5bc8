//! `Explain`: the answer to a look-up, and why it is so.

use jiff::Timestamp;

use super::{Resolver, answer, not_loaded, origins::Origins, question::Question};
use crate::{
    domain::fault::{Faults, Problem, Reason},
    proto::{ExplainRequest, ExplainResponse, Purpose, ResolveRequest, explain_response::Outcome},
    rpc::{
        caller::{Caller, Scope},
        convert::{Path, explanation},
        status::Failure,
        work::blocking,
    },
};

impl Resolver {
    /// Answers a look-up, and tells why; waits for its revision as the look-up would.
    pub(super) async fn explained(
        &self,
        caller: Caller,
        request: ExplainRequest,
    ) -> Result<ExplainResponse, Failure> {
        let message = lookup(request)?;
        let now = Timestamp::now();
        let question = within_request(Question::read(&message, now))?;
        caller.may(Scope::Resolve, question.shop().as_ref())?;
        if let Some(revision) = within_request(self.missing(question.min_revision))? {
            self.wait(revision).await?;
        }
        let resolver = self.clone();
        // It tells of thousands of conditions.
        blocking(move || {
            let question = within_request(Question::read(&message, now))?;
            resolver.explain_now(&message, &question)
        })
        .await?
    }

    /// Explains from the index in use. Nothing is counted, not even that it was asked.
    fn explain_now(
        &self,
        message: &ResolveRequest,
        question: &Question<'_>,
    ) -> Result<ExplainResponse, Failure> {
        let loaded = self.live.load();
        let snapshot = loaded.as_ref().ok_or_else(not_loaded)?;
        let visit = question.visit(&self.classifier);
        let mut asked = snapshot.ask(&visit).map_err(|no_shop| answer::about(no_shop.into(), question))?;
        if let Some(counting) = asked.counting() {
            // A look-up sees the next numbers and takes none.
            asked.counted(self.counters.count(counting).0);
        }
        let explained = asked.explain();
        let origins = Origins::of(message, &visit, &explained, &self.classifier);
        let explanation = explanation::write(&explained, &|look| origins.of_look(look));
        let outcome = match answer::write(explained.resolution, None, question) {
            Ok(answer) => Outcome::Answer(answer),
            Err(failure) => Outcome::Failure(failure.into_item()),
        };
        Ok(ExplainResponse { outcome: Some(outcome), explanation: Some(explanation) })
    }
}

/// Takes the visit as a look-up.
fn lookup(request: ExplainRequest) -> Result<ResolveRequest, Faults> {
    let path = Path::root("request");
    let Some(mut message) = request.request else {
        return Err(Problem::required("the visit").at(path.to_string()).into());
    };
    match Purpose::try_from(message.purpose) {
        Ok(Purpose::Unspecified) => message.purpose = Purpose::Lookup.into(),
        Ok(Purpose::Click) => {
            let text = "an explanation is a look-up: leave the purpose out, or write LOOKUP";
            let path = path.field("purpose").to_string();
            return Err(Problem::new(Reason::Conflict, text).at(path).into());
        }
        // What is no purpose is refused with the other faults.
        Ok(Purpose::Lookup) | Err(_) => {}
    }
    Ok(message)
}

/// Puts faults of the visit where they stand in the request.
fn within_request<T>(read: Result<T, Faults>) -> Result<T, Faults> {
    read.map_err(|inside| {
        let mut faults = Faults::new();
        Path::root("request").adopt(inside, &mut faults);
        faults
    })
}
