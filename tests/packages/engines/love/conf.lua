function love.conf(t)
    t.modules.window, t.modules.graphics = false, false
end
