// The values of columns of keywords as checkboxes.

import { element } from "./api.js";
import { number } from "./words.js";

// Columns and values that are shown.
const MAX_COLUMNS = 8;
const VALUES = 10;

// The columns of an index that are shown.
export function columns(index) {
  const fields = index.fields.filter((field) => field.column_type === "keyword" || field.column_type === "bool");
  return fields.slice(0, MAX_COLUMNS).map((field) => field.name);
}

// What the API is asked to count for a column.
export function wanted(column) {
  return `${column}:${VALUES}`;
}

// The query trees for the values that are checked, but for those of one column: within a column any of
// the values may match, and each column must.
export function filters(checked, except) {
  const chosen = [...checked].filter(([column, values]) => column !== except && values.size > 0);
  return chosen.map(([column, values]) => ({ terms: { [column]: [...values].map((value) => JSON.parse(value)) } }));
}

// A group of checkboxes; `change` is called after one was changed. Values are kept as JSON, because a
// flag and a keyword of the same letters differ.
export function group(facet, checked, change) {
  const values = checked.get(facet.column) ?? new Set();
  const counted = new Map(facet.values.map(([value, count]) => [JSON.stringify(value), count]));
  for (const value of values) if (!counted.has(value)) counted.set(value, 0);
  // A column whose values are all different, such as of titles, narrows nothing.
  const isUseless = values.size === 0 && (counted.size === 0 || (counted.size === VALUES && [...counted.values()].every((count) => count === 1)));
  if (isUseless) return null;
  const boxes = [...counted].map(([value, count]) => element("label", {},
    element("input", {
      type: "checkbox",
      checked: values.has(value),
      "data-column": facet.column,
      "data-value": value,
      onchange: (event) => {
        if (event.currentTarget.checked) values.add(value);
        else values.delete(value);
        checked.set(facet.column, values);
        change();
      },
    }),
    element("span", {}, String(JSON.parse(value))),
    element("small", {}, number(count))));
  return element("fieldset", {}, element("legend", {}, facet.column), ...boxes);
}
