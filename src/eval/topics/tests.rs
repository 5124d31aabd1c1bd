//! Tests of topics.

use super::*;

const OLD: &str = "
<top>
<head> Tipster Topic Description
<num> Number:  051
<dom> Domain:  International Economics
<title> Topic:  Airbus Subsidies

<desc> Description:
Document mentions subsidies
  &amp; grants, x < 5.

<narr> Narrative:
Relevant if so.

<con> Concept(s):
1. Airbus
<fac> Factor(s):
<nat> Nationality: U.S.
</fac>
<def> Definition(s):
</top>

<top>
<num> Number: 052
<title> Topic: South African Sanctions
</top>
";
const NEW: &str = "<top>\r\n<num>Number: 701</num><title> U.S.  oil\r\n industry\r\n</title>\r\n\
                   <DESC>Description:\r\nWhy?</DESC>\r\n</top>\r\n";

fn read(text: &str) -> Result<Vec<Topic>> {
    let mut reader = TopicReader::default();
    let mut topics = Vec::new();
    for line in text.lines() {
        topics.extend(reader.line(line)?);
    }
    reader.finish()?;
    Ok(topics)
}

#[test]
fn labels_leading_zeros_and_other_parts_of_old_topics_are_dropped() {
    let topics = read(OLD).unwrap();
    assert_eq!(topics.len(), 2);
    assert_eq!(topics[0].number, "51");
    assert_eq!(topics[0].title, "Airbus Subsidies");
    assert_eq!(
        topics[0].description,
        "Document mentions subsidies & grants, x < 5."
    );
    assert_eq!(topics[0].narrative, "Relevant if so.");
    assert_eq!(topics[1].title, "South African Sanctions");
}

#[test]
fn new_topics_may_close_their_parts() {
    let topics = read(NEW).unwrap();
    assert_eq!(topics[0].number, "701");
    assert_eq!(topics[0].title, "U.S. oil industry");
    assert_eq!(topics[0].description, "Why?");
}

#[test]
fn topics_of_trec_covid_are_read_with_their_prolog() {
    let xml = "<?xml version=\"1.0\"\n encoding=\"UTF-8\"?>\n<!DOCTYPE topics>\n<topics task=\"COVIDSearch Round 5\" batch=\"5\">\n\
               <!-- round <topic>\n 5 --><topic number=\"1\">\n  <query>coronavirus origin</query>\n  \
               <question>what is the\norigin of COVID&#45;19?</question>\n  \
               <narrative>range &lt; 5 &amp; more</narrative>\n</topic>\n<topic type='faceted' number='02'>\n\
               <description>how</description><query>masks</query><subtopic number=\"9\" type=\"inf\">x</subtopic></topic>\n\
               <topic number=\"3\">A patient with x < 5\n</topic></topics>\n";
    let topics = read(xml).unwrap();
    let parts = |topic: &Topic| {
        let Topic {
            number,
            title,
            description,
            narrative,
        } = topic.clone();
        [number, title, description, narrative]
    };
    assert_eq!(
        topics.iter().map(parts).collect::<Vec<_>>(),
        [
            [
                "1",
                "coronavirus origin",
                "what is the origin of COVID-19?",
                "range < 5 & more"
            ],
            ["2", "masks", "how", ""],
            ["3", "A patient with x < 5", "", ""],
        ]
    );
}

#[test]
fn entities_are_decoded_once_and_other_ampersands_stay() {
    let title =
        "&lt;a&gt; &quot;b&quot; &apos;c&apos; &#233; &#xE9; &eacute; &amp;amp; R&D &x; &#0;";
    let topics = read(&format!("<top><num> 1 <title> {title}\n</top>\n")).unwrap();
    assert_eq!(topics[0].title, "<a> \"b\" 'c' é é é &amp; R&D &x; &#0;");
}

#[test]
fn each_part_can_be_the_query() {
    let topic = read(OLD).unwrap().remove(0);
    let text = |part| topic.clone().into_query(part).unwrap().text.unwrap();
    assert_eq!(text(TopicPart::Title), "Airbus Subsidies");
    assert_eq!(text(TopicPart::Narrative), "Relevant if so.");
    assert!(text(TopicPart::Description).starts_with("Document mentions"));
    assert!(text(TopicPart::TitleAndDescription).starts_with("Airbus Subsidies Document mentions"));
}

#[test]
fn a_topic_without_the_part_asked_for_is_an_error() {
    let topic = read(OLD).unwrap().remove(1);
    let error = topic.into_query(TopicPart::Description).unwrap_err();
    assert!(
        error.to_string().contains("<desc> in topic `52`"),
        "{error}"
    );
}

#[test]
fn broken_topics_are_rejected() {
    for (text, expected) in [
        ("<top>\n<num> 1\n", "found the end of the file"),
        ("<top>\n<num> 1\n<top>\n", "another `<top>`"),
        ("<num> 1\n", "found `<num>`"),
        ("words\n<top>\n", "found `words`"),
        ("<top>\n<title> a\n</top>\n", "number in `<num>`"),
        ("<top><num>1</top><top><num>2</top>\n", "one topic"),
        ("<topics><topic number=\"1\">\n", "expected `</topic>`"),
        (
            "<topics>\n<topic><query>a</query></topic>\n",
            "attribute `number`",
        ),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}
