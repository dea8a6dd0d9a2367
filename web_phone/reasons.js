// Why something failed, in a sentence for the user.

export const LOST = "The connection to the server was lost.";

const OF_STATUS = {
  401: "The address or the password is wrong.",
  403: "The server refuses this.",
  404: "There is no such user.",
  408: "There is no answer.",
  407: "The password is wrong.",
  415: "The other side cannot read this.",
  423: "The server wants another time for the login.",
  480: "This user is not there at the moment.",
  481: "The call has ended already.",
  486: "This user is busy.",
  487: "The call was ended before it was answered.",
  488: "The other side has no encrypted audio that fits.",
  503: "The server has too much to do. Try again in a moment.",
  600: "This user is busy.",
  603: "The call was declined.",
};

export function reasonOf(event) {
  const status = event?.response?.status_code ?? event?.message?.status_code;
  if (status) return OF_STATUS[status] ?? `The server has answered ${Number(status)}.`;
  if (event?.cause === "Canceled") return "The call was ended before it was answered.";
  if (event?.cause === "Rejected") return "The call was declined.";
  if (event?.cause === "User Denied Media Access") return "The browser gives no microphone to this page. Allow it, and call again.";
  if (event?.cause === "Connection Error") return LOST;
  if (event?.cause === "Request Timeout" || event?.cause === "No Answer") return "There is no answer.";
  return "This did not work.";
}

export function reasonOfLogin(event) {
  const status = event?.response?.status_code;
  if (status === 401 || status === 403 || status === 404 || status === 407) return "The address or the password is wrong.";
  return reasonOf(event);
}

export const isWrongPassword = (event) => [401, 403, 407].includes(event?.response?.status_code);

export function reasonOfToken(event) {
  const status = event?.response?.status_code;
  if (status === 401 || status === 403) return "The server does not accept your sign-in: you have no account here, or it is disabled.";
  if (status === 503) return "The server cannot ask your organisation's provider. Try again in a moment.";
  return reasonOf(event);
}
