"use strict"
// Asks now and then whether there is a newer page, and puts it in this one's place, which stays where it was scrolled to.
const PAUSE_MS = 2000
const ENDED = "This page is no longer followed: edgenas ui has ended. It is what there was then."

async function follow() {
  let notice = ENDED
  try {
    const answer = await fetch("version")
    if (answer.ok) {
      const newest = await answer.json()
      notice = newest.notice
      if (newest.version !== document.body.dataset.version) await renew()
    }
  } catch { /* nobody answers */ }
  const line = document.getElementById("notice")
  if (line.textContent !== notice) line.textContent = notice
  line.hidden = !notice
}

async function renew() {
  if (!getSelection().isCollapsed) return  // somebody is about to copy
  const page = new DOMParser().parseFromString(await (await fetch("")).text(), "text/html")
  const [before, after] = [document, page].map(each => [...each.querySelectorAll("details")])
  if (before.length === after.length) before.forEach((details, i) => { after[i].open = details.open })
  const { scrollX, scrollY } = window
  document.body.replaceWith(page.body)
  scrollTo(scrollX, scrollY)
}

(async () => {
  for (;;) {
    if (!document.hidden) await follow()
    await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
  }
})()
