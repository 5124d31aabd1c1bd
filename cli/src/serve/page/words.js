// The words of the page in three languages, and numbers as each language writes them.

const EN = {
  skip: "Skip to the results",
  index: "Index",
  language: "Language",
  search: "Search",
  hint: "Words, \"phrases\", +required, -excluded, field:value…",
  suggestions: "Suggestions",
  results: "Results",
  narrow: "Narrow the search",
  sort: "Order",
  relevance: "Relevance",
  rising: (column) => `${column}, rising`,
  falling: (column) => `${column}, falling`,
  pages: "Pages",
  page: (number) => `Page ${number}`,
  previous: "Previous",
  next: "Next",
  tokenTitle: "This server asks for a token",
  token: "Token",
  go: "Continue",
  found: (count, n) => (count === 1 ? "1 result" : `${n(count)} results`),
  foundAtLeast: (count, n) => `At least ${n(count)} results`,
  holds: (name, count, n) => `${name} holds ${n(count)} documents.`,
  none: "Nothing matches. Try fewer or other words, or fewer filters.",
  meant: "Did you mean:",
  noted: "Searched as words",
  engine: (scored, all, algorithms, ms) => `${scored} of ${all} postings scored by ${algorithms}, in ${ms} ms`,
  sorted: (ms) => `in the order of a column, in ${ms} ms`,
  documents: (count, n) => (count === 1 ? "1 document" : `${n(count)} documents`),
  score: "Score",
  why: "Why?",
  document: "Document",
  loading: "Loading…",
  nothingStored: "Nothing is stored for this document.",
  term: "Term",
  inDocuments: "Documents",
  weight: "Weight",
  value: "Value",
  adds: "Adds",
  share: "Share",
  length: (length, average) => `Length ${length}, average ${average}.`,
  plan: (algorithm, why) => `Algorithm ${algorithm}: ${why}.`,
  missing: (terms) => `The document lacks ${terms}, and all terms are required.`,
  filtered: "A filter rejects the document.",
  noMatch: "no match",
  failed: "The server does not answer. Is it running?",
};

const PT = {
  skip: "Ir para os resultados",
  index: "Índice",
  language: "Idioma",
  search: "Buscar",
  hint: "Palavras, \"frases\", +obrigatória, -excluída, campo:valor…",
  suggestions: "Sugestões",
  results: "Resultados",
  narrow: "Refinar a busca",
  sort: "Ordem",
  relevance: "Relevância",
  rising: (column) => `${column}, crescente`,
  falling: (column) => `${column}, decrescente`,
  pages: "Páginas",
  page: (number) => `Página ${number}`,
  previous: "Anterior",
  next: "Próxima",
  tokenTitle: "Este servidor pede um token",
  token: "Token",
  go: "Continuar",
  found: (count, n) => (count === 1 ? "1 resultado" : `${n(count)} resultados`),
  foundAtLeast: (count, n) => `Pelo menos ${n(count)} resultados`,
  holds: (name, count, n) => `${name} contém ${n(count)} documentos.`,
  none: "Nada foi encontrado. Tente menos palavras, outras palavras ou menos filtros.",
  meant: "Você quis dizer:",
  noted: "Buscado como palavras",
  engine: (scored, all, algorithms, ms) => `${scored} de ${all} entradas pontuadas por ${algorithms}, em ${ms} ms`,
  sorted: (ms) => `na ordem de uma coluna, em ${ms} ms`,
  documents: (count, n) => (count === 1 ? "1 documento" : `${n(count)} documentos`),
  score: "Pontuação",
  why: "Por quê?",
  document: "Documento",
  loading: "Carregando…",
  nothingStored: "Nada está armazenado para este documento.",
  term: "Termo",
  inDocuments: "Documentos",
  weight: "Peso",
  value: "Valor",
  adds: "Soma",
  share: "Parte",
  length: (length, average) => `Comprimento ${length}, média ${average}.`,
  plan: (algorithm, why) => `Algoritmo ${algorithm}: ${why}.`,
  missing: (terms) => `O documento não tem ${terms}, e todos os termos são obrigatórios.`,
  filtered: "Um filtro rejeita o documento.",
  noMatch: "não corresponde",
  failed: "O servidor não responde. Ele está em execução?",
};

const KO = {
  skip: "결과로 건너뛰기",
  index: "색인",
  language: "언어",
  search: "검색",
  hint: "단어, \"구문\", +필수, -제외, 필드:값…",
  suggestions: "추천 검색어",
  results: "결과",
  narrow: "결과 좁히기",
  sort: "정렬",
  relevance: "관련도",
  rising: (column) => `${column} 오름차순`,
  falling: (column) => `${column} 내림차순`,
  pages: "페이지",
  page: (number) => `${number}페이지`,
  previous: "이전",
  next: "다음",
  tokenTitle: "이 서버에는 토큰이 필요합니다",
  token: "토큰",
  go: "계속",
  found: (count, n) => `결과 ${n(count)}개`,
  foundAtLeast: (count, n) => `결과 ${n(count)}개 이상`,
  holds: (name, count, n) => `${name}에 문서 ${n(count)}개가 있습니다.`,
  none: "일치하는 문서가 없습니다. 단어나 필터를 줄이거나 바꿔 보세요.",
  meant: "이것을 찾으셨나요?",
  noted: "단어로 검색한 부분",
  engine: (scored, all, algorithms, ms) => `포스팅 ${all}개 중 ${scored}개 점수 계산, ${algorithms}, ${ms} ms`,
  sorted: (ms) => `열 순서로 정렬, ${ms} ms`,
  documents: (count, n) => `문서 ${n(count)}개`,
  score: "점수",
  why: "왜?",
  document: "문서",
  loading: "불러오는 중…",
  nothingStored: "이 문서에 저장된 내용이 없습니다.",
  term: "용어",
  inDocuments: "문서 수",
  weight: "가중치",
  value: "값",
  adds: "기여",
  share: "비율",
  length: (length, average) => `길이 ${length}, 평균 ${average}.`,
  plan: (algorithm, why) => `알고리즘 ${algorithm}: ${why}.`,
  missing: (terms) => `모든 용어가 필요하지만 이 문서에는 ${terms}이(가) 없습니다.`,
  filtered: "필터가 이 문서를 제외합니다.",
  noMatch: "불일치",
  failed: "서버가 응답하지 않습니다. 실행 중인지 확인하세요.",
};

const LANGUAGES = { en: EN, pt: PT, ko: KO };
const KEY = "esparsa-language";

let language = "en";

// The language that was chosen before, or else the first of the browser's that the page has.
export function preferred() {
  const wanted = [localStorage.getItem(KEY), ...navigator.languages].filter(Boolean);
  const known = wanted.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in LANGUAGES);
  return known ?? "en";
}

export function use(tag) {
  language = tag in LANGUAGES ? tag : "en";
  localStorage.setItem(KEY, language);
  document.documentElement.lang = language;
}

// The words for a key; those that depend on values are functions of them.
export function word(key, ...values) {
  const found = LANGUAGES[language][key];
  return typeof found === "function" ? found(...values) : found;
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);
}

// Replaces the words of everything that is marked with their keys.
export function translate() {
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word);
  for (const node of document.querySelectorAll("[data-hint]")) node.placeholder = word(node.dataset.hint);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", word(node.dataset.label));
}
