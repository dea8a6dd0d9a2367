// The little of XML that documents of SIP events need. A parser is not needed: the results are words and texts.
const ENTITIES = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&" };

export const escaped = (text) => text.replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`);
export const unescaped = (text) => text.replace(/&#(\d{2,3});/g, (_, code) => String.fromCharCode(code)).replace(/&(?:lt|gt|quot|apos|amp);/g, (entity) => ENTITIES[entity]);
