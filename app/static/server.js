// Talks to this server's API and puts what goes wrong into words.

export class ServerError extends Error {
  /** status: of HTTP; 0 when the server could not be reached at all. */
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** Whether the same request may succeed later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }
}

export const UNREACHABLE = "The server can't be reached. Check that Passerby is still running.";

/** The answer's JSON. Throws ServerError with a sentence for people. */
export async function ask(url, options = {}) {
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    throw new ServerError(UNREACHABLE, 0);
  }
  const body = await response.text();
  if (!response.ok) throw new ServerError(wordsOf(body, response.status), response.status);
  return body ? JSON.parse(body) : null;
}

/** What a problem document (RFC 9457) says, or the status when there is none. */
export function wordsOf(body, status) {
  try {
    const problem = JSON.parse(body);
    return problem.detail || problem.title;
  } catch {
    return `The server answered with status ${status}.`;
  }
}

export function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function plural(count, one, many) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** Tells screen readers, whatever has the focus. */
export function announce(words) {
  document.getElementById("announcer").textContent = words;
}
