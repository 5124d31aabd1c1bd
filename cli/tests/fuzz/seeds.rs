//! Valid inputs for the working corpora of `fuzz/`.
//!
//! ```sh
//! ESPARSA_WRITE_SEEDS=1 cargo test --release -p esparsa-cli --test fuzz_corpus valid_inputs
//! ```

use std::io::Write;

const LINES: [&str; 10] = [
    "{\"_id\":\"d1\",\"title\":\"Sparse\",\"text\":\"retrieval\"}\n",
    "{\"id\":7,\"contents\":\"caf\\u00e9 \\ud83d\\ude00\",\"vector\":{\"a\":1.5,\"b\":0}}\n",
    "{\"docid\":\"x\",\"passage\":\"p\",\"vector\":[1,-2.5e-3,0]}\r\n\n",
    "{\"_id\":\"a\",\"body\":null,\"text\":\"t\",\"more\":[{\"vector\":1},true,null]}",
    "{\"_id\":\"a\",\"vector\":{},\"text\":\"t\"}\n{\"_id\":\"\",\"text\":1}\n[]\n",
    "{\"_id\": \"a\", \"text\": \"bad \\ud800 escape\"}\n",
    "{\"_id\": \"a\", \"number\": NaN, \"text\": \"x\"}\n",
    "{\"_id\": \"a\", \"number\": 1e999, \"text\": \"x\"}\n",
    "{\"_id\": -12345678901234567890123456789, \"title\": \"\", \"text\": \"x\"}\n",
    "{\"_id\":\"a\",\"vector\":{\"a\":1e39},\"text\":\"x\"}\n",
];

const DOCUMENTS: [&str; 7] = [
    "<DOC>\n<DOCNO> FT911-1 </DOCNO>\n<HEADLINE>\nA &amp; B\n</HEADLINE>\n<TEXT>\nSome text.\n</TEXT>\n</DOC>\n",
    "<doc>\n<docno>1</docno>\n<dochdr>\nhttp://x\n</dochdr>\n<html><title>t<text>b<script>x</script></html>\n</doc>",
    "<DOC><DOCNO>a</DOCNO><!-- c --> x < 5 > 3 &lt;&#233;&x;</DOC><DOC><DOCNO>b</DOCNO>y",
    "<all><DOC id=1>\n<DOCNO>c</DOCNO><STYLE>p{}</DOC></all>\nwords",
    "<DOC><DOCNO>a<TEXT>x</DOC>",
    "<DOC>text</DOC><DOC><DOCNO>a</DOCNO><DOCNO>b</DOCNO></DOC>",
    "<DOC><DOCNO>a</DOCNO><!ENTITY x><?xml?><p/></DOC",
];

const ROWS: [&str; 4] = [
    "d1\tfirst text\nd2\ta title\tsecond text\r\n\nd3\t\n",
    "id\ttext\n1\tb\n",
    "one\na\tb\tc\td\n\tno id\n",
    "a\t é \u{feff}\t\u{0}\n",
];

const REQUESTS: [&str; 12] = [
    "GET /api/indexes/shop/search?q=tea&k=2&facets=color&snippets=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /api/indexes/shop/search?q=%2Btea+-cup&sort=price:desc&min_score=0.1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "POST /api/indexes/shop/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{\"query\":{\"text\":{\"text\":\"tea\"}},\"k\":3,\"offset\":1}",
    "POST /api/indexes/shop/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 76\r\n\r\n{\"query\":{\"all\":{}},\"filter\":{\"range\":{\"price\":{\"lt\":9}}},\"fields\":[\"text\"]}",
    "POST /api/indexes/shop/explain?id=cup HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"q\":\"t\"}\r\n0\r\n\r\n",
    "GET /api/indexes/shop/documents/a%2Fb%20c HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    "GET /api/indexes/shop/suggest?text=te&mode=complete HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /api/indexes/shop/encode?text=tea&system=sparse HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \"x\"\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /metrics HTTP/1.0\r\n\r\n",
    "HEAD /api/openapi.json HTTP/1.1\r\nHost: [::1]:80\r\nExpect: 100-continue\r\n\r\n",
    "GET /api/indexes HTTP/1.1\r\nHost: example.org\r\nSec-Fetch-Site: cross-site\r\n\r\n",
];

fn bytes_of<const N: usize>(texts: [&str; N]) -> Vec<Vec<u8>> {
    texts.map(|text| text.as_bytes().to_vec()).into()
}

/// Files of every name and encoding, compressed or not.
fn files() -> Vec<Vec<u8>> {
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |text: &str| zstd::stream::encode_all(text.as_bytes(), 1).unwrap();
    let texts = [LINES[0], DOCUMENTS[0], ROWS[0], "plain words"];
    let mut files = Vec::new();
    for (number, text) in (0u8..).zip(texts) {
        for bytes in [text.as_bytes().to_vec(), gzip(text), zstd(text)] {
            files.push([&[number], &[files.len() as u8 / 3], &bytes[..]].concat());
        }
    }
    let utf16: Vec<u8> = ROWS[0].encode_utf16().flat_map(u16::to_le_bytes).collect();
    files.push([&[5, 0, 0xff, 0xfe], &utf16[..]].concat());
    files.push([&[7, 0], "<DOC><DOCNO>a</DOCNO>Caf\u{e9}</DOC>".as_bytes()].concat());
    files
}

/// A message of protobuf of numbers and texts, with its length before it.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let body: Vec<u8> = fields
        .iter()
        .flat_map(|(tag, bytes)| [&[*tag], *bytes].concat())
        .collect();
    [&[body.len() as u8], &body[..]].concat()
}

/// Two lists of three documents, as numbers and as texts with their lengths.
fn interchange() -> Vec<Vec<u8>> {
    let list = |term: &[u8]| {
        let posting = |document: u8, tf: u8| [4, 8, document, 16, tf];
        let (first, second) = (posting(0, 2), posting(2, 1));
        message(&[
            (10, term),
            (16, &[2]),
            (24, &[3]),
            (34, &first),
            (34, &second),
        ])
    };
    let record =
        |number: u8, id: &[u8], length: u8| message(&[(8, &[number]), (18, id), (24, &[length])]);
    let header = message(&[
        (8, &[1]),
        (16, &[2]),
        (24, &[3]),
        (32, &[2]),
        (40, &[3]),
        (48, &[6]),
    ]);
    let lists = [list(&[1, b'a']), list(&[2, b'b', b'c'])].concat();
    let records = [
        record(0, &[1, b'x'], 4),
        record(1, &[1, b'y'], 0),
        record(2, &[1, b'z'], 2),
    ];
    let file = [header, lists, records.concat()].concat();
    [0, 1].map(|kind| [&[kind], &file[..]].concat()).into()
}

pub fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    vec![
        ("json_lines", bytes_of(LINES)),
        ("trec", bytes_of(DOCUMENTS)),
        ("tsv", bytes_of(ROWS)),
        ("compressed", files()),
        ("ciff", interchange()),
        ("http", bytes_of(REQUESTS)),
    ]
}
