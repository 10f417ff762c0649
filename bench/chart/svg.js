// @ts-check
/** SVG as text. */

/**
 * An element; attributes that are undefined are left out.
 *
 * @param {string} name
 * @param {Record<string, string | number | undefined>} attributes
 * @param {...string} content other elements, or text that {@link escaped} has made safe
 */
export function element(name, attributes, ...content) {
  const list = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(
      ([key, value]) =>
        ` ${key}="${typeof value === 'number' ? Math.round(value * 10) / 10 : escaped(value ?? '')}"`,
    )
    .join('');
  return content.length === 0 ? `<${name}${list}/>` : `<${name}${list}>${content.join('')}</${name}>`;
}

/** @param {number} x @param {number} y @param {string} content @param {Record<string, string>} [attributes] */
export function text(x, y, content, attributes = {}) {
  return element('text', { x, y, ...attributes }, escaped(content));
}

/** @param {number} x @param {number} y @param {...string} content */
export function moved(x, y, ...content) {
  return element('g', { transform: `translate(${x} ${y})` }, ...content);
}

/** @param {string} raw */
export function escaped(raw) {
  return raw
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
