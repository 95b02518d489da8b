function love.conf(t)
    t.identity = "mimi"
    t.window.title = "Hold the space bar and talk"
    t.window.width, t.window.height = 480, 120
end
