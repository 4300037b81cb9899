// Keeps the language that was chosen: sets the cookie that is beside this script.
document.cookie = document.currentScript.previousElementSibling.dataset.cookie;
