"use strict";
// Asks the server of this page; the token is in the part of the address that no browser sends on.
const token = location.hash.slice(1);
async function ask(path, body) {
  const post = body && {method: "POST", body: JSON.stringify(body)};
  const answer = await fetch(path, {...post, headers: {"X-Token": token}});
  if (answer.ok) return answer;
  if (answer.status === 403) throw new Error("open the whole address that the command printed");
  const text = await answer.text();
  let said = text;
  try { said = JSON.parse(text).error; } catch { /* plain text */ }
  throw new Error(said);
}
