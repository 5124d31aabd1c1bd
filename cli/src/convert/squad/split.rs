//! Parts of articles, by a hash of their titles.

use std::collections::HashMap;
use std::str::FromStr;

use esparsa::{Error, Result};
use xxhash_rust::xxh3::xxh3_64;

use crate::convert::layout::Part;

/// Percent of the articles in each part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares([u64; Part::ALL.len()]);

impl FromStr for Shares {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split(',').map(|number| number.trim().parse().ok());
        let numbers: Option<Vec<u64>> = numbers.collect();
        let shares = numbers.and_then(|numbers| <[u64; 3]>::try_from(numbers).ok());
        let shares = shares.filter(|shares| {
            let sum = shares
                .iter()
                .try_fold(0u64, |sum, share| sum.checked_add(*share));
            sum == Some(100)
        });
        shares.map(Self).ok_or_else(|| {
            Error::invalid(format!(
                "expected three whole numbers that add up to 100, such as 80,10,10, found `{text}`"
            ))
        })
    }
}

impl Shares {
    /// The part of an article with this hash.
    pub fn part(self, hash: u64) -> Part {
        let mut place = hash % 100;
        for (part, share) in Part::ALL.into_iter().zip(self.0) {
            if place < share {
                return part;
            }
            place -= share;
        }
        Part::Test
    }
}

/// Articles, of which those that share a paragraph are one: a union-find structure, whose root is
/// the article with the lowest number.
#[derive(Debug, Default)]
pub(super) struct Articles {
    parents: Vec<u32>,
    hashes: Vec<u64>,
    by_title: HashMap<u64, u32>,
}

impl Articles {
    /// The number of an article: the one of an earlier article with its title, or a new one.
    /// Without a title its first paragraph takes the place of one.
    pub fn number(&mut self, title: &str, first_paragraph: &str) -> u32 {
        let name = match title.is_empty() {
            true => first_paragraph,
            false => title,
        };
        let hash = xxh3_64(name.as_bytes());
        let next = self.parents.len() as u32;
        let number = *self.by_title.entry(hash).or_insert(next);
        if number == next {
            self.parents.push(next);
            self.hashes.push(hash);
        }
        number
    }

    /// Makes two articles one.
    pub fn join(&mut self, first: u32, second: u32) {
        let roots = [self.root(first), self.root(second)];
        let root = roots[0].min(roots[1]);
        // Both articles lead to the root at once from now on, so that paths stay short.
        for article in [roots[0], roots[1], first, second] {
            self.parents[article as usize] = root;
        }
    }

    /// The hash that decides about the part of an article.
    pub fn hash(&self, article: u32) -> u64 {
        self.hashes[self.root(article) as usize]
    }

    fn root(&self, mut article: u32) -> u32 {
        loop {
            let parent = self.parents[article as usize];
            if parent == article {
                return article;
            }
            article = parent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_100() {
        assert_eq!("80,10, 10".parse::<Shares>().unwrap(), Shares([80, 10, 10]));
        for text in [
            "",
            "80",
            "80,10",
            "80,10,11",
            "80,10,10,0",
            "-1,1,100",
            "a,b,c",
            "18446744073709551615,1,100",
        ] {
            let message = text.parse::<Shares>().unwrap_err().to_string();
            assert!(message.contains("80,10,10"), "{text}: {message}");
        }
    }

    #[test]
    fn articles_are_divided_by_their_shares() {
        let shares: Shares = "70,20,10".parse().unwrap();
        let mut counts = [0; 3];
        for number in 0..10_000 {
            let hash = xxh3_64(format!("article {number}").as_bytes());
            counts[shares.part(hash) as usize] += 1;
        }
        let [train, dev, test] = counts;
        assert!((6_800..7_200).contains(&train), "{counts:?}");
        assert!((1_850..2_150).contains(&dev), "{counts:?}");
        assert!((850..1_150).contains(&test), "{counts:?}");
        let none: Shares = "90,10,0".parse().unwrap();
        assert!((0..1_000).all(|hash| none.part(hash) != Part::Test));
    }

    #[test]
    fn articles_that_share_a_paragraph_are_one() {
        let mut articles = Articles::default();
        let numbers = ["a", "b", "c", "d"].map(|title| articles.number(title, "x"));
        assert_eq!(numbers, [0, 1, 2, 3]);
        assert_eq!(articles.number("b", "y"), 1);
        assert_eq!(articles.number("", "d"), 3);
        articles.join(3, 2);
        articles.join(1, 3);
        let hash = articles.hash(1);
        assert_eq!([2, 3].map(|it| articles.hash(it)), [hash, hash]);
        assert_ne!(articles.hash(0), hash);
    }
}
