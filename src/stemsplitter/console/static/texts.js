// Texts of the scripts in the language of the page. Their translations are in texts.LANGUAGE.js, which the server makes
// from its catalog. Values of a text are written as {name}.

const page = globalThis.document?.documentElement.lang || "en";

/** The language of the page, of the reader's country; numbers and times are in its format. */
export const language = (globalThis.document && navigator.languages?.find((each) => each.split("-")[0] === page)) || page;
const english = { texts: {}, plural: (n) => Number(n !== 1) };
const { texts, plural } = page === "en" ? english : await import(`./texts.${page}.js`);

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);

/** Translate a text and fill in its values. */
export const _ = (text, values = {}) => filled(texts[text] ?? text, values);

/** Translate a text with the number `n`, which the text can contain as {n}. */
export function ngettext(one, many, n, values = {}) {
  const form = texts[one]?.[plural(n)] ?? (n === 1 ? one : many);
  return filled(form, { n: n.toLocaleString(language), ...values });
}

/** Mark a text that is translated later. */
export const marked = (text) => text;

/** `1,234.5`. */
export const count = (number) => number.toLocaleString(language);

/** A number with so many digits after the decimal point. */
export const decimal = (number, digits) => number.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** A number with so many digits in all. */
export const precise = (number, digits) => number.toLocaleString(language, { minimumSignificantDigits: digits, maximumSignificantDigits: digits, useGrouping: false });
