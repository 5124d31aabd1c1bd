//! Required, optional and excluded parts of a query.

use crate::query::request::Query;

/// Parts, added one after the other.
pub(super) struct Parts {
    query: Query,
    must: usize,
    should: usize,
    /// Whether a required part was left out, because analysis drops its words.
    has_dropped: bool,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            query: Query::bool(),
            must: 0,
            should: 0,
            has_dropped: false,
        }
    }
}

impl Parts {
    fn change(&mut self, change: impl FnOnce(Query) -> Query) {
        self.query = change(std::mem::replace(&mut self.query, Query::bool()));
    }

    pub fn without(&mut self, part: Query) {
        self.change(|query| query.without(part));
    }

    pub fn should(&mut self, part: Query) {
        self.change(|query| query.should(part));
        self.should += 1;
    }

    /// Adds a part that documents must match, unless it is of words that analysis drops.
    pub fn must(&mut self, part: Query, is_dropped: bool) {
        if is_dropped {
            self.has_dropped = true;
            return;
        }
        self.change(|query| query.must(part));
        self.must += 1;
    }

    /// The query, of whose optional parts documents match at least `minimum`.
    pub fn into_query(self, minimum: Option<usize>) -> Query {
        // Words that are all dropped find nothing, as they do alone.
        let is_empty = self.must == 0 && self.should == 0;
        if is_empty && (self.has_dropped || minimum.is_some()) {
            return Query::any_of([]);
        }
        match minimum {
            Some(minimum) => {
                let minimum = u32::try_from(minimum.min(self.should));
                self.query.with_minimum_should(minimum.unwrap_or(u32::MAX))
            }
            None => self.query,
        }
    }
}
