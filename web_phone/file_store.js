// Files beside messages (GSMA RCC.07): sent to management over HTTPS with the ticket of the home pool, and read as a link.
import { unescaped } from "./xml.js";

export const FILE_XML = "application/vnd.gsma.rcs-ft-http+xml";
const LONGEST_XML = 16_384;
const LONGEST_URL = 2_000;
const LONGEST_NAME = 120;
const MEGABYTE = 1_000_000;
const UNREACHED = "Files cannot be sent now: your organisation's server cannot be reached. Try again later.";
const INFO = /<file-info\b[^>]{0,200}\btype\s*=\s*["']file["'][^>]{0,200}>([\s\S]*?)<\/file-info>/;
const DATA = /<data\b[^>]{0,200}?\burl\s*=\s*(?:"([^"]*)"|'([^']*)')/;

// Read the XML of a message: name, size in octets, and the link; null for what is none, and for what this page cannot open.
export function readFile(xml) {
  if (xml.length > LONGEST_XML) return null;
  const info = INFO.exec(xml)?.[1] ?? "";
  const found = DATA.exec(info);
  const url = readUrl(unescaped(found?.[1] ?? found?.[2] ?? ""));
  if (!url || /<file-key\b/.test(info)) return null; // a file that only other devices can decrypt
  const size = Number(textOf(info, "file-size"));
  return { url: url.href, host: url.host, name: unescaped(textOf(info, "file-name")).slice(0, LONGEST_NAME) || "file", size: Number.isSafeInteger(size) && size >= 0 ? size : 0 };
}

const textOf = (info, name) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(info)?.[1].trim() ?? "";

function readUrl(text) {
  try {
    const url = new URL(text);
    return url.protocol === "https:" && !url.username && !url.password && text.length <= LONGEST_URL ? url : null;
  } catch {
    return null;
  }
}

// A size as people write it.
export function sizeOf(octets) {
  if (octets < 1_000) return `${octets} B`;
  if (octets < MEGABYTE) return `${Math.round(octets / 1_000)} KB`;
  return `${(octets / MEGABYTE).toFixed(1)} MB`;
}

export class FileStore {
  // *renew* asks the home pool for another ticket, and resolves once it is there.
  constructor(renew) {
    Object.assign(this, { renew, url: "", ticket: "", largest: 0 });
  }

  get isOpen() {
    return Boolean(this.url);
  }

  use({ files, largest, ticket }) {
    Object.assign(this, { url: files, largest, ticket });
  }

  // Send a file of the user; gives the XML for the message, or an *error* for the user.
  async send(file) {
    if (file.size > this.largest) return { error: `This file is too large: files have at most ${sizeOf(this.largest)}.` };
    let answer = await this.upload(file);
    if (answer?.status === 401) {
      await this.renew();
      answer = await this.upload(file);
    }
    if (!answer) return { error: UNREACHED };
    return answer.ok && readFile(answer.text) ? { xml: answer.text } : { error: reasonOf(answer.status) };
  }

  // Returns what was answered; null if the server cannot be reached, or dies before its answer is whole.
  async upload(file) {
    const body = new FormData();
    body.append("File", file, file.name);
    try {
      const answer = await fetch(this.url, { method: "POST", headers: { Authorization: `Bearer ${this.ticket}` }, body, credentials: "omit", cache: "no-store" });
      return { ok: answer.ok, status: answer.status, text: await answer.text() };
    } catch {
      return null;
    }
  }
}

function reasonOf(status) {
  if (status === 401) return "Your login does not count any more. Log in again.";
  if (status === 413) return "This file is too large.";
  if (status === 429) return "You send too many files at once. Try again in a minute.";
  if (status === 507) return "There is no room for this file now. Your older files make room after some days.";
  return "The file was not sent. Try again in a minute.";
}
